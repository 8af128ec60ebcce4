import type { HostTensor, ParameterLayout } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { flatten, unflatten } from './flat.js';

const layout: ParameterLayout = {
  network: 'generator',
  size: 8,
  tensors: [
    { name: 'weight', shape: [2, 3], offset: 0, size: 6 },
    { name: 'bias', shape: [2], offset: 6, size: 2 },
  ],
};
const tensors = (): Record<string, HostTensor> => ({
  bias: { dtype: 'float32', shape: [2], data: Float32Array.of(7, 8) },
  weight: { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
});

describe('flatten and unflatten', () => {
  it('follow the declared order, whatever the order of the names', () => {
    expect(flatten(layout, tensors())).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  });

  it('undo each other', () => {
    expect(unflatten(layout, flatten(layout, tensors()))).toEqual(tensors());
  });

  it('unflatten gives views', () => {
    const flat = flatten(layout, tensors());
    const { bias } = unflatten(layout, flat);
    flat[7] = 80;
    expect(bias?.data).toEqual(Float32Array.of(7, 80));
  });

  it.each<[string, Record<string, HostTensor | undefined>, string, string]>([
    ['missing', { bias: undefined }, 'generator/bias', 'is missing'],
    ['left over', { other: { dtype: 'float32', shape: [1], data: new Float32Array(1) } }, 'generator/other', 'is not a parameter'],
    ['of another shape', { weight: { dtype: 'float32', shape: [3, 2], data: new Float32Array(6) } }, 'generator/weight', 'is float32 [3, 2], expected float32 [2, 3]'],
    ['of another rank', { bias: { dtype: 'float32', shape: [2, 1], data: new Float32Array(2) } }, 'generator/bias', 'is float32 [2, 1]'],
    ['of another dtype', { bias: { dtype: 'float64', shape: [2], data: new Float64Array(2) } }, 'generator/bias', 'is float64 [2]'],
    ['shorter than it says', { bias: { dtype: 'float32', shape: [2], data: new Float32Array(1) } }, 'generator/bias', 'is float32 [2]'],
  ])('name a tensor that is %s', (_, change, field, problem) => {
    const changed = Object.fromEntries(Object.entries({ ...tensors(), ...change }).filter((entry): entry is [string, HostTensor] => entry[1] !== undefined));
    expect(() => flatten(layout, changed)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field, message: expect.stringContaining(problem) as string, remedy: expect.any(String) as string }));
  });

  it('do not take inherited properties for tensors', () => {
    const odd: ParameterLayout = { network: 'n', size: 1, tensors: [{ name: 'constructor', shape: [1], offset: 0, size: 1 }] };
    expect(() => flatten(odd, {})).toThrow('"constructor" is missing');
  });

  it('refuse a vector of another size', () => {
    expect(() => unflatten(layout, new Float32Array(7))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'generator' }));
  });
});
