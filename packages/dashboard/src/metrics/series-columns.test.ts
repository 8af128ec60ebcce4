import { describe, expect, it } from 'vitest';
import { columnsBefore, columnsOf, join, mergeTail, rangeToLoad, type SeriesColumns } from './series-columns.js';

const columns = (x: number[], count = x.map(() => 1)): SeriesColumns => ({ x, mean: x.map((at) => at * 10), min: x.map((at) => at * 10 - 1), max: x.map((at) => at * 10 + 1), count });

describe('columnsOf', () => {
  it('reads numbers that are written as text, and cuts columns that are too long', () => {
    expect(columnsOf({ x: [1, 2, 3], mean: ['NaN', 5, 6], min: [1, '-Infinity', 1], max: ['Infinity', 1, 1], count: [1, 2] })).toEqual({ x: [1, 2], mean: [NaN, 5], min: [1, -Infinity], max: [Infinity, 1], count: [1, 2] });
  });
});

describe('mergeTail', () => {
  it('puts the tail in the place of what it begins with', () => {
    const merged = mergeTail(columns([0, 10, 20], [10, 10, 3]), columns([20, 22, 24]), 20);
    expect(merged.x).toEqual([0, 10, 20, 22, 24]);
    expect(merged.count).toEqual([10, 10, 1, 1, 1]);
  });

  it('keeps everything when the tail begins behind the end, and drops all of it when it begins before', () => {
    expect(mergeTail(columns([0, 10]), columns([11]), 11).x).toEqual([0, 10, 11]);
    expect(mergeTail(columns([5, 10]), columns([5, 6]), 0).x).toEqual([5, 6]);
    expect(mergeTail(columns([5, 5, 7]), columns([7, 8]), 7).x).toEqual([5, 5, 7, 8]);
  });
});

describe('columnsBefore', () => {
  it('has the share of a bucket that lies before', () => {
    expect(columnsBefore(columns([0, 10, 20], [8, 8, 8]), 15)).toMatchObject({ x: [0, 10], count: [8, 4] });
    expect(columnsBefore(columns([0, 10, 20], [8, 8, 8]), 10)).toMatchObject({ x: [0], count: [8] });
    expect(columnsBefore(columns([0, 10]), -5).x).toEqual([]);
    expect(columnsBefore(columns([0, 10]), 50).x).toEqual([0, 10]);
  });
});

describe('rangeToLoad', () => {
  const overview = columns(Array.from({ length: 101 }, (_, index) => index * 100), Array.from({ length: 101 }, () => 50));

  it('starts so many values earlier as smoothing remembers, by how dense the values are there', () => {
    const [from, to] = rangeToLoad([5000, 6000], 390, overview);
    expect(from).toBeCloseTo(5000 - 20 - 780, 6); // half a value for each step
    expect(to).toBe(6020);
  });

  it('never starts long before the first value', () => {
    expect(rangeToLoad([100, 200], 390, overview)[0]).toBeCloseTo(-2, 6);
    expect(rangeToLoad([100, 200], 390, undefined)).toEqual([98, 202]);
  });
});

it('joins', () => {
  expect(join(columns([1]), columns([2, 3])).mean).toEqual([10, 20, 30]);
});
