import { describe, expect, it } from 'vitest';
import type { ChartSeries } from './chart-series.js';
import { countLeftOut, extentOf, hasPositive, xScale, yScale } from './plot-range.js';

const series = (points: ChartSeries['points'], more: Partial<ChartSeries> = {}): ChartSeries => ({ id: 'a', label: 'a', colour: '#000', points, ...more });
const linear = { min: 0, max: 10, log: false };

describe('yScale', () => {
  it('has every extreme of what is visible, and nothing of what is not', () => {
    const one = series({ x: [0, 5, 10, 11, 20], mean: [1, 2, 3, 3, 900], min: [-4, 2, 3, 3, 0], max: [1, 50, 3, 3, 1000] });
    const { min, max } = yScale([one], [], linear, { log: false, fromZero: false });
    expect(min).toBeLessThanOrEqual(-4);
    expect(max).toBeGreaterThanOrEqual(50);
    expect(max).toBeLessThan(60);
  });

  it('has intervals and references, but for those that need not be in range', () => {
    const one = series({ x: [1, 2], mean: [5, 6], lower: [2, 3], upper: [8, 9] });
    const { min, max } = yScale([one], [{ label: 'naive', y: 40 }, { label: 'far', y: 1e6, inRange: false }], linear, { log: false, fromZero: false });
    expect(min).toBeLessThanOrEqual(2);
    expect(max).toBeGreaterThanOrEqual(40);
    expect(max).toBeLessThan(50);
  });

  it('leaves out 0 and below on a logarithmic axis', () => {
    const { min, max } = yScale([series({ x: [1, 2, 3], mean: [-1, 0, 10], min: [-5, -1, 1], max: [0, 0.1, 100] })], [], linear, { log: true, fromZero: false });
    expect(min).toBeGreaterThan(0);
    expect(min).toBeLessThanOrEqual(0.1);
    expect(max).toBeGreaterThanOrEqual(100);
  });

  it('is a range that can be drawn, whatever there is', () => {
    for (const log of [false, true]) {
      for (const mean of [[], [NaN], [0], [7], [7, 7], [-3]]) {
        const scale = yScale([series({ x: mean.map((_, index) => index), mean })], [], linear, { log, fromZero: false });
        expect(scale.max).toBeGreaterThan(scale.min);
        if (log) expect(scale.min).toBeGreaterThan(0);
      }
    }
  });

  it('begins at 0 where that is asked for', () => {
    expect(yScale([series({ x: [1, 2], mean: [50, 60] })], [], linear, { log: false, fromZero: true }).min).toBe(0);
    expect(yScale([series({ x: [1, 2], mean: [-5, 60] })], [], linear, { log: false, fromZero: true }).min).toBeLessThanOrEqual(-5);
  });
});

describe('xScale', () => {
  it('is the zoom, or everything', () => {
    const one = series({ x: [3, 8], mean: [1, 1] });
    expect(xScale([one], { zoom: undefined, extent: undefined, log: false })).toEqual({ min: 3, max: 8, log: false });
    expect(xScale([one], { zoom: undefined, extent: [0, 20], log: false })).toEqual({ min: 0, max: 20, log: false });
    expect(xScale([one], { zoom: [4, 5], extent: [0, 20], log: false })).toEqual({ min: 4, max: 5, log: false });
  });

  it('can be drawn with one point, with none, and logarithmically from 0 on', () => {
    for (const x of [[], [5], [0], [0, 0, 7]]) {
      for (const log of [false, true]) {
        for (const zoom of [undefined, [-5, 3], [-5, -1]] as const) {
          const scale = xScale([series({ x, mean: x })], { zoom, extent: extentOf([series({ x, mean: x })]), log });
          expect(scale.max).toBeGreaterThan(scale.min);
          if (log) expect(scale.min).toBeGreaterThan(0);
        }
      }
    }
  });
});

it('counts at least the values that a logarithmic axis leaves out', () => {
  const one = series({ x: [0, 1, 2, 3], mean: [1, -2, 3, 0.5], min: [1, -3, 2, -1], max: [1, -1, 4, 2], count: [10, 20, 30, 40] });
  expect(countLeftOut([one], { logX: false, logY: false })).toBe(0);
  expect(countLeftOut([one], { logX: false, logY: true })).toBe(21);
  expect(countLeftOut([one], { logX: true, logY: true })).toBe(31);
});

it('knows whether a logarithmic axis would show anything', () => {
  expect(hasPositive([series({ x: [1, 2], mean: [-1, 0] }), series({ x: [1], mean: [NaN] })])).toBe(false);
  expect(hasPositive([series({ x: [1], mean: [-1], max: [0.5] })])).toBe(true);
});
