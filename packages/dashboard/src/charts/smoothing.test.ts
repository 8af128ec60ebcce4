import { describe, expect, it } from 'vitest';
import { memoryOf, smoothed } from './smoothing.js';

/** The definition, one value after the other. */
function reference(values: readonly number[], factor: number): number[] {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    sum = factor * sum + (1 - factor) * value;
    weight = factor * weight + (1 - factor);
    return sum / weight;
  });
}

const noisy = Array.from({ length: 240 }, (_, index) => Math.sin(index / 9) + ((index * 7919) % 13) / 13);

describe('smoothed', () => {
  it('is the bias-corrected exponential moving average when every point is one value', () => {
    const found = smoothed({ x: noisy.map((_, index) => index), mean: noisy }, 0.9);
    reference(noisy, 0.9).forEach((wanted, index) => expect(found[index]).toBeCloseTo(wanted, 12));
  });

  it('starts at the first value, not at 0', () => {
    expect(smoothed({ x: [0, 1], mean: [5, 5] }, 0.99)).toEqual([5, expect.closeTo(5, 12)]);
  });

  it('is at the end of a bucket of equal values what it is after these values', () => {
    const values = [3, 3, 3, 3, 8, 8, 8, 1, 1, 1, 1, 1];
    const one = reference(values, 0.8);
    const bucketed = smoothed({ x: [0, 4, 7], mean: [3, 8, 1], count: [4, 3, 5] }, 0.8);
    expect(bucketed).toEqual([expect.closeTo(one[3] as number, 12), expect.closeTo(one[6] as number, 12), expect.closeTo(one[11] as number, 12)]);
  });

  it('hardly depends on the size of the buckets', () => {
    const slow = Array.from({ length: 4000 }, (_, index) => Math.sin(index / 700));
    const bucket = (size: number): number[] => {
      const mean = Array.from({ length: slow.length / size }, (_, at) => slow.slice(at * size, (at + 1) * size).reduce((sum, value) => sum + value, 0) / size);
      return smoothed({ x: mean.map((_, at) => at * size), mean, count: mean.map(() => size) }, 0.995);
    };
    const fine = bucket(1);
    bucket(20).forEach((value, at) => expect(Math.abs(value - (fine[at * 20 + 19] as number))).toBeLessThan(0.02));
  });

  it('goes on from values before it as if they were part of it', () => {
    const whole = reference(noisy, 0.95);
    const points = { x: [], mean: noisy.slice(100) };
    const found = smoothed(points, 0.95, { x: [], mean: noisy.slice(0, 100) });
    found.forEach((value, index) => expect(value).toBeCloseTo(whole[100 + index] as number, 12));
  });

  it('leaves a gap where there is no value, and forgets nothing there', () => {
    const found = smoothed({ x: [0, 1, 2], mean: [2, NaN, 4] }, 0.5);
    expect(found[1]).toBeNaN();
    expect(found[2]).toBeCloseTo(reference([2, 4], 0.5)[1] as number, 12);
  });
});

describe('memoryOf', () => {
  it('is how many values leave so much of a start', () => {
    const values = memoryOf(0.99, 0.02);
    expect(0.99 ** values).toBeLessThanOrEqual(0.02);
    expect(0.99 ** (values - 1)).toBeGreaterThan(0.02);
    expect(memoryOf(0)).toBe(0);
  });
});
