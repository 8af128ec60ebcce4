import { describe, expect, it } from 'vitest';
import { ParameterStore } from './parameter-store.js';

function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

describe('parameters', () => {
  it('are readable once every element was written, in whatever order and however often', () => {
    const store = new ParameterStore();
    const pieces: [number, number[]][] = [[6, [7, 8]], [0, [1, 2]], [1, [9]], [3, [4]], [2, [3, 4, 5]], [1, [2]]];
    for (const [offset, values] of pieces) {
      store.write('a', 8, offset, floats(...values));
      expect(() => store.read('a', 8)).toThrow(/of 8 parameters have not been written/);
    }
    store.write('a', 8, 5, floats(6));
    expect([...store.read('a', 8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('may come as bytes at any address', () => {
    const store = new ParameterStore();
    const bytes = new Uint8Array(13);
    bytes.set(floats(1.5, -2), 3);
    store.write('a', 2, 0, bytes.subarray(3, 11));
    expect([...store.read('a', 2)]).toEqual([1.5, -2]);
  });

  it('start anew with another size', () => {
    const store = new ParameterStore();
    store.write('a', 1, 0, floats(1));
    store.write('a', 2, 0, floats(2));
    expect(() => store.read('a', 2)).toThrow(/1 of 2/);
  });

  it('that do not fit into memory fail when they are read', () => {
    const store = new ParameterStore();
    store.write('a', 2 ** 40, 0, floats(1));
    expect(() => store.read('a', 2 ** 40)).toThrow(/could not be stored \(a\)/);
    store.drop('a');
    expect(() => store.read('a', 2 ** 40)).toThrow(/no parameters under this key/);
  });
});
