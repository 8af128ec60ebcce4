import { describe, expect, it } from 'vitest';
import { smoothed } from '../charts/smoothing.js';
import { drawnSeries, stackedSeries } from './drawn-series.js';
import { answerOf, grow, type FakeRun } from './fake-series.js';
import { columnsOf } from './series-columns.js';
import type { LoadedSeries, SeriesScope } from './series-layer.js';

const run: FakeRun = new Map();
grow(run, 'loss', 0, 10_000, (x) => Math.sin(x / 300) + ((x * 7919) % 101) / 101);

function load(range: SeriesScope['range'], buckets: number): LoadedSeries {
  const request = { names: ['loss'], axis: 'SERIES_AXIS_UPDATES' as const, buckets, ...(range ? { from: range[0], to: range[1] } : {}) };
  const [message] = answerOf(run, request).series;
  if (!message) throw new Error('no series');
  return { scope: { axis: 'updates', logX: false, buckets, range }, columns: columnsOf(message) };
}

describe('drawnSeries', () => {
  const whole = load(undefined, 480);
  const part = load([4600, 5210], 4000);

  it('draws the part when it covers the zoom, and the overview otherwise', () => {
    expect(drawnSeries(whole, part, 'updates', [5000, 5200])?.points.x).toContain(5001);
    expect(drawnSeries(whole, part, 'updates', [4000, 5200])?.points).toBe(whole.columns);
    expect(drawnSeries(whole, part, 'updates', undefined)?.points).toBe(whole.columns);
    expect(drawnSeries(whole, part, 'samples', [5000, 5200])).toBeUndefined();
    expect(drawnSeries(undefined, undefined, 'updates', undefined)).toBeUndefined();
  });

  it('begins a little before the zoom, for the line that comes in from there', () => {
    const x = drawnSeries(whole, part, 'updates', [5000, 5200])?.points.x ?? [];
    expect(x[0]).toBeLessThan(5000);
    expect(x[0]).toBeGreaterThan(4980);
  });

  it('smooths to the same curve as all values would', () => {
    const values = run.get('loss') ?? [];
    for (const factor of [0.9, 0.99]) {
      const all = smoothed({ x: [], mean: values.map(({ value }) => value) }, factor);
      const drawn = drawnSeries(whole, part, 'updates', [5000, 5200]);
      if (!drawn) throw new Error('nothing is drawn');
      const curve = smoothed(drawn.points, factor, drawn.before);
      drawn.points.x.forEach((x, index) => expect(Math.abs((curve[index] as number) - (all[x] as number))).toBeLessThan(0.02));
    }
  });
});

describe('stackedSeries', () => {
  const layer = (id: string, mean: number[], x = [1, 2]): Parameters<typeof stackedSeries>[0][number] => ({ id, label: id, colour: '#000', points: { x, mean } });

  it('puts each layer on those before it, and keeps what it adds', () => {
    const [first, second] = stackedSeries([layer('a', [1, 2]), layer('b', [10, 20])]);
    expect(first).toMatchObject({ points: { mean: [1, 2] }, stack: { base: [0, 0], own: [1, 2] } });
    expect(second).toMatchObject({ points: { mean: [11, 22] }, stack: { base: [1, 2], own: [10, 20] } });
  });

  it('leaves out what has other places, and takes what is missing or negative as nothing', () => {
    const layers = stackedSeries([layer('a', [1, 2]), layer('b', [5, 5], [1, 3]), layer('c', [NaN, -4])]);
    expect(layers.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(layers[1]?.points.mean).toEqual([1, 2]);
  });
});
