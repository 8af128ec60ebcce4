import { fillNormal, fillUniform, type HostTensor } from '@dd2/core';
import { arDiffusionNetwork } from '../ar-diffusion.js';
import { classifierNetwork } from '../classifier.js';
import { initialize, layoutOf, slotOf, type NetworkDefinition } from '../network-definition.js';
import { teacherNetwork } from '../teacher.js';
import { tokenizerNetwork } from '../tokenizer.js';
import { model, weightsOf } from './reference.js';

/** Weights of the fixture's small networks, with the stored codebook in a tokenizer of random convolutions. */
export function smallVectors(): Record<'generator' | 'guidance' | 'teacher' | 'tokenizer' | 'classifier', Float32Array> {
  const definition = tokenizerNetwork(model);
  const tokenizer = initialize(definition, 5);
  const buffers: NetworkDefinition = { name: 'tokenizer', parameters: definition.parameters.filter(({ trainable }) => trainable === false) };
  const stored = weightsOf(buffers);
  for (const { name, offset, size } of layoutOf(buffers).tensors) {
    tokenizer.set(stored.subarray(offset, offset + size), slotOf(layoutOf(definition), name).offset);
  }
  return {
    generator: weightsOf(arDiffusionNetwork(model, 'generator')),
    guidance: weightsOf(arDiffusionNetwork(model, 'guidance')),
    teacher: weightsOf(teacherNetwork(model)),
    tokenizer,
    classifier: initialize(classifierNetwork(model), 6),
  };
}

export function normalTensor(shape: readonly number[], seed: number): HostTensor<'float32'> {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  fillNormal(data, { seed, update: 0, stream: 'test' }, [0]);
  return { dtype: 'float32', shape, data };
}

export function uniformTensor(shape: readonly number[], seed: number): HostTensor<'float32'> {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  fillUniform(data, { seed, update: 0, stream: 'test' }, [0]);
  return { dtype: 'float32', shape, data };
}

export function integerTensor(shape: readonly number[], values: readonly number[]): HostTensor<'int64'> {
  return { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) };
}

/** 0, 1, ..., count - 1, each modulo `modulus`. */
export function counting(count: number, modulus: number): number[] {
  return Array.from({ length: count }, (_, i) => i % modulus);
}
