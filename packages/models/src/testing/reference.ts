import { readFileSync } from 'node:fs';
import type { DType, HostTensor, Program, TimeRange } from '@dd2/core';
import type { ModelConfig } from '../model-config.js';
import type { NetworkDefinition } from '../network-definition.js';
import { layoutOf } from '../network-definition.js';

interface StoredTensor {
  readonly dtype: 'float32' | 'int64' | 'uint8';
  readonly shape: readonly number[];
  readonly offset: number;
  /** of gradients: every `stride`-th element is stored, and the norm of all */
  readonly stride?: number;
  readonly norm?: number;
}

interface Case {
  readonly network: string | null;
  readonly metrics: Readonly<Record<string, number>>;
  readonly time: TimeRange;
  readonly draws: number;
  readonly odeSteps: number;
  readonly seed: number;
  readonly form: 'sid' | 'dmd';
  readonly alpha: number;
  readonly weight: 'uniform' | 'inverse-time' | 'token-normalised';
  readonly contexts: 'snapped' | 'continuous';
}

interface Index {
  readonly model: ModelConfig;
  readonly batch: number;
  readonly cases: Readonly<Record<string, Case>>;
  readonly tensors: Readonly<Record<string, StoredTensor>>;
}

const folder = new URL('../../fixtures/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('reference.json', folder), 'utf8')) as Index;
const bytes = readFileSync(new URL('reference.bin', folder));
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);

/** The sizes of the fixture's networks, and its batch. */
export const { model, batch, cases } = index;

export function caseOf(name: string): Case {
  const found = cases[name];
  if (found) return found;
  throw new Error(`the fixture has no case ${name}`);
}

export function reference(name: string): HostTensor {
  const stored = index.tensors[name];
  if (!stored) throw new Error(`the fixture has no tensor ${name}`);
  return view(stored, stored.shape.reduce((product, size) => product * size, 1));
}

/** The values stored under `<name>/input/`. */
export function inputsOf(name: string): [string, HostTensor][] {
  const prefix = `${name}/input/`;
  const found = Object.keys(index.tensors).filter((key) => key.startsWith(prefix));
  return found.map((key) => [key.slice(prefix.length), reference(key)]);
}

/** A flat vector from stored weights; tensors that `fallback` makes are not looked up. */
export function weightsOf(definition: NetworkDefinition, stored: string = definition.name): Float32Array {
  return assemble(definition, (name) => reference(`weights/${stored}/${name}`).data as Float32Array);
}

/** A flat vector from the portable generator, except for buffers, which are stored under `weights/<stored>/` or keep their initial value. */
export function portableWeights(definition: NetworkDefinition, seed: number, stored: string): Float32Array {
  return assemble(definition, (name, shape, trainable) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    if (!trainable) {
      const key = `weights/${stored}/${name}`;
      return key in index.tensors ? (reference(key).data as Float32Array) : new Float32Array(size).fill(name === 'latent.std' ? 1 : 0);
    }
    const fan = shape.length > 1 ? size / (shape[0] ?? 1) : 16;
    const letters = Array.from(name).reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    return portable(size, 1.7 / Math.sqrt(fan), seed + letters);
  });
}

/** Worst disagreement of a program's gradient with a case's, tensor by tensor, relative to the norm of the reference. */
export function gradientErrors(name: string, gradient: ReadonlyMap<string, Float32Array>): { tensor: string; error: number; norm: number }[] {
  const prefix = `${name}/gradient/`;
  const keys = Object.keys(index.tensors).filter((key) => key.startsWith(prefix));
  return keys.map((key) => {
    const tensor = key.slice(prefix.length);
    const stored = index.tensors[key];
    const actual = gradient.get(tensor);
    if (!stored || !actual) throw new Error(`no gradient of ${tensor}`);
    const { stride = 1, norm = 0 } = stored;
    const expected = view(stored, Math.ceil(actual.length / stride)).data as Float32Array;
    let difference = 0;
    let size = 0;
    for (let i = 0; i < expected.length; i++) {
      difference += ((actual[i * stride] ?? NaN) - (expected[i] ?? NaN)) ** 2;
      size += (expected[i] ?? NaN) ** 2;
    }
    const sampled = Math.sqrt(difference / size);
    const whole = Math.abs(Math.hypot(...actual) - norm) / norm;
    return { tensor, error: Math.max(sampled, whole), norm };
  });
}

export function parameterNames(program: Program): string[] {
  return program.signature.parameters.map(({ network }) => network);
}

function assemble(definition: NetworkDefinition, values: (name: string, shape: readonly number[], trainable: boolean) => Float32Array): Float32Array {
  const layout = layoutOf(definition);
  const flat = new Float32Array(layout.size);
  definition.parameters.forEach(({ name, shape, trainable }, i) => flat.set(values(name, shape, trainable !== false), layout.tensors[i]?.offset ?? 0));
  return flat;
}

/** The linear congruential generator of Numerical Recipes, centred and scaled: the same numbers as in make.py. */
function portable(count: number, scale: number, seed: number): Float32Array {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = Math.fround((state / 2 ** 32) * 2 - 1) * Math.fround(scale);
  }
  return values;
}

function view({ dtype, offset, shape }: StoredTensor, count: number): HostTensor {
  const classes: Record<typeof dtype, new (b: ArrayBuffer, o: number, n: number) => HostTensor<DType>['data']> = {
    float32: Float32Array,
    int64: BigInt64Array,
    uint8: Uint8Array,
  };
  return { dtype, shape, data: new classes[dtype](buffer, offset, count) };
}
