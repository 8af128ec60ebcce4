import { describe, expect, it } from 'vitest';
import { Dd2Error } from '@dd2/core';
import { arDiffusionFromTeacher, arDiffusionNetwork } from './ar-diffusion.js';
import { classifierNetwork } from './classifier.js';
import type { ModelConfig } from './model-config.js';
import { initialize, layoutOf, slotOf, type NetworkDefinition } from './network-definition.js';
import { teacherNetwork } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';

/** The default sizes. */
const model: ModelConfig = { tokens: 16, dimension: 6, vocabulary: 128, classes: 10, width: 96, layers: 3, heads: 4, headWidth: 96, headBlocks: 2, grid: 4 };

const values = (definition: NetworkDefinition, flat: Float32Array, tensor: string): Float32Array => {
  const { offset, size } = slotOf(layoutOf(definition), tensor);
  return flat.subarray(offset, offset + size);
};
const deviation = (x: Float32Array): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);

describe('network definitions', () => {
  it('have as many parameters as the PyTorch implementation', () => {
    expect(layoutOf(teacherNetwork(model)).size).toBe(351_296);
    expect(layoutOf(arDiffusionNetwork(model, 'generator')).size).toBe(476_742);
    const buffers = 128 * 6 + 6 + 6;
    expect(layoutOf(tokenizerNetwork(model)).size - buffers).toBe(201_799);
  });

  it('lay tensors out without gaps', () => {
    for (const definition of [teacherNetwork(model), arDiffusionNetwork(model, 'guidance'), tokenizerNetwork(model), classifierNetwork(model)]) {
      const { tensors, size } = layoutOf(definition);
      let end = 0;
      for (const slot of tensors) {
        expect(slot.offset).toBe(end);
        end += slot.size;
      }
      expect(end).toBe(size);
      expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
    }
  });

  it('initialise as PyTorch does, the same for the same seed', () => {
    const definition = arDiffusionNetwork(model, 'generator');
    const flat = initialize(definition, 3);
    expect(flat).toEqual(initialize(definition, 3));
    expect(flat).not.toEqual(initialize(definition, 4));
    const up = values(definition, flat, 'backbone.blocks.0.mlp.up.weight');
    const bound = 1 / Math.sqrt(96);
    expect(Math.max(...up.map(Math.abs))).toBeLessThanOrEqual(Math.fround(bound));
    expect(deviation(up)).toBeCloseTo(bound / Math.sqrt(3), 2);
    expect(deviation(values(definition, flat, 'backbone.class'))).toBeCloseTo(1, 1);
    expect(deviation(values(definition, flat, 'backbone.position'))).toBeCloseTo(0.02, 2);
    expect(values(definition, flat, 'backbone.norm.weight').every((v) => v === 1)).toBe(true);
    for (const zero of ['head.blocks.1.modulation.weight', 'head.modulation.bias', 'head.output.weight', 'head.output.bias']) {
      expect(values(definition, flat, zero).every((v) => v === 0), zero).toBe(true);
    }
  });

  it('takes the second dimension of a transposed convolution for its fan-in', () => {
    const definition = tokenizerNetwork(model);
    const last = values(definition, initialize(definition, 1), 'decoder.3.weight');
    expect(Math.max(...last.map(Math.abs))).toBeGreaterThan(0.2);
    expect(Math.max(...last.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(1 * 16));
  });

  it('starts the AR-diffusion network from the teacher\'s backbone', () => {
    const teacher = initialize(teacherNetwork(model), 1);
    const flat = arDiffusionFromTeacher(model, teacher, 2);
    const definition = arDiffusionNetwork(model, 'generator');
    const fresh = initialize(definition, 2);
    for (const { name } of layoutOf(definition).tensors) {
      const expected = name.startsWith('backbone.') ? values(teacherNetwork(model), teacher, name) : values(definition, fresh, name);
      expect(values(definition, flat, name), name).toEqual(expected);
    }
    expect(() => arDiffusionFromTeacher(model, new Float32Array(3), 2)).toThrow(Dd2Error);
  });

  it('refuses sizes that contradict each other', () => {
    expect(() => teacherNetwork({ ...model, tokens: 15 })).toThrow(/tokens/);
    expect(() => teacherNetwork({ ...model, heads: 5 })).toThrow(/heads/);
    expect(() => slotOf(layoutOf(teacherNetwork(model)), 'absent')).toThrow(/absent/);
  });
});
