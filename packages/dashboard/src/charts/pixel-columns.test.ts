import { describe, expect, it } from 'vitest';
import { pixelColumns, visibleIndices } from './pixel-columns.js';
import { projection } from './projection.js';

describe('pixelColumns', () => {
  it('has at most one column for a pixel, and loses no extreme and no value', () => {
    const x = Array.from({ length: 5000 }, (_, index) => index);
    const mean = x.map((value) => Math.sin(value / 50));
    mean[3217] = 40;
    mean[12] = -40;
    const columns = pixelColumns({ x, mean }, [0, 5000], projection({ min: 0, max: 4999, log: false }, 10, 310));
    expect(columns.length).toBeLessThanOrEqual(301);
    expect(Math.max(...columns.map(({ high }) => high))).toBe(40);
    expect(Math.min(...columns.map(({ low }) => low))).toBe(-40);
    expect(columns.reduce((sum, { count }) => sum + count, 0)).toBe(5000);
    const total = columns.reduce((sum, { mean: value, count }) => sum + value * count, 0);
    expect(total).toBeCloseTo(mean.reduce((sum, value) => sum + value, 0), 6);
  });

  it('weighs buckets by the values in them, and keeps their extremes', () => {
    const points = { x: [0, 0.1, 50], mean: [1, 4, 9], min: [-1, 3, 8], max: [2, 30, 10], count: [3, 1, 2] };
    const columns = pixelColumns(points, [0, 3], projection({ min: 0, max: 100, log: false }, 0, 100));
    expect(columns).toMatchObject([{ mean: 1.75, low: -1, high: 30, count: 4 }, { mean: 9, low: 8, high: 10, count: 2 }]);
    expect(columns[0]?.end).toBe(50);
  });

  it('leaves out what has no place on a logarithmic axis', () => {
    const columns = pixelColumns({ x: [0, 1, 10, 100], mean: [1, 2, 3, 4] }, [0, 4], projection({ min: 1, max: 100, log: true }, 0, 100));
    expect(columns.map(({ x }) => x)).toEqual([0, 50, 100]);
  });

  it('keeps a gap where there is no value', () => {
    const columns = pixelColumns({ x: [0, 0.2, 0.4], mean: [1, NaN, 3] }, [0, 3], projection({ min: 0, max: 10, log: false }, 0, 10));
    expect(columns.map(({ mean }) => mean)).toEqual([1, NaN, 3]);
  });
});

describe('visibleIndices', () => {
  it('has the points in the range, and one more on either side', () => {
    expect(visibleIndices([0, 1, 2, 3, 4, 5], 2, 3)).toEqual([1, 5]);
    expect(visibleIndices([0, 1, 2, 3, 3, 3, 5], 2, 3)).toEqual([1, 7]);
    expect(visibleIndices([0, 10], 4, 5)).toEqual([0, 2]);
    expect(visibleIndices([], 0, 1)).toEqual([0, 0]);
  });
});
