import { describe, expect, it } from 'vitest';
import { placesOf } from './axis-places.js';
import { fidDrawing, type DrawnRun } from './fid-series.js';
import { pointAt } from './testing.js';

const drawn = (values: Partial<DrawnRun> = {}): DrawnRun => ({ runId: 'a', label: 'run a', colour: 'red', dash: [], points: [], places: new Map(), ...values });

describe('fidDrawing', () => {
  it('draws a curve with confidence and its best point', () => {
    const points = [pointAt(100, { fid: 10, standardError: 1 }), pointAt(200, { fid: 8 }), pointAt(300, { fid: 9 })];
    const { series, annotations, unplaced } = fidDrawing([drawn({ points })], 'updates');
    expect(series).toHaveLength(1);
    expect(series[0]).toMatchObject({ label: 'run a', colour: 'red', mark: 'circle', points: { x: [100, 200, 300], mean: [10, 8, 9], lower: [8.04, NaN, NaN], upper: [11.96, NaN, NaN] } });
    expect(annotations).toEqual([{ x: 200, y: 8, label: 'best 8.00', colour: 'red' }]);
    expect(unplaced).toBe(0);
  });

  it('marks the best point of every run, in words that of the first', () => {
    const { annotations } = fidDrawing([drawn({ points: [pointAt(100)] }), drawn({ runId: 'b', points: [pointAt(100, { runId: 'b', fid: 9 })] })], 'updates');
    expect(annotations.map(({ y, label }) => [y, label])).toEqual([[10, 'best 10.00'], [9, '']]);
  });

  it('has no band where no standard error was computed', () => {
    const { series } = fidDrawing([drawn({ points: [pointAt(100)] })], 'updates');
    expect(series[0]?.points).toEqual({ x: [100], mean: [10] });
  });

  it('leaves out what has no place yet, and says how much', () => {
    const points = [pointAt(100), pointAt(200), pointAt(200, { kind: 'final', evaluationId: '200-final' })];
    const places = placesOf([{ update: 100, generatorUpdates: 25, samples: 1, wallSeconds: 33 }]);
    const { series, unplaced } = fidDrawing([drawn({ points, places })], 'wallTime');
    expect(series.map(({ points: { x } }) => x)).toEqual([[33], []]);
    expect(unplaced).toBe(2);
  });

  it('tells kinds of measurements apart by mark, without joining them', () => {
    const points = [
      pointAt(100),
      pointAt(100, { kind: 'final', samples: 5000 }),
      pointAt(100, { kind: 'asked', sampler: 'multi-step-8' }),
      pointAt(200, { kind: 'asked', sampler: 'multi-step-8' }),
      pointAt(100, { kind: 'asked', samples: 9000 }),
      pointAt(100, { kind: 'asked', sampler: 'teacher' }),
    ];
    const { series } = fidDrawing([drawn({ points })], 'updates');
    expect(series.map(({ label, mark, line = true }) => [label, mark, line])).toEqual([
      ['run a', 'circle', true],
      ['run a final, 5,000 samples', 'diamond', false],
      ['run a multi-step-8, 2,000 samples', 'triangle', false],
      ['run a one-step, 9,000 samples', 'cross', false],
    ]);
    expect(series[2]?.points.x).toEqual([100, 200]);
    expect(new Set(series.map(({ id }) => id)).size).toBe(4);
  });

  it('gives curves of different numbers of samples different marks, in every run the same', () => {
    const many = (runId: string, samples: number) => [1, 2, 3].map((update) => pointAt(update, { runId, samples }));
    const { series } = fidDrawing([drawn({ points: [...many('a', 2000), pointAt(9, { samples: 5000 })] }), drawn({ runId: 'b', points: many('b', 5000) })], 'updates');
    expect(series.map(({ points: { x }, mark }) => [x.length, mark])).toEqual([[3, 'square'], [1, 'circle'], [3, 'circle']]);
  });

  it('keeps points ascending where several share a place', () => {
    const points = [pointAt(2300, { generatorUpdates: 0, fid: 14 }), pointAt(800, { generatorUpdates: 0, fid: 439 }), pointAt(2600, { generatorUpdates: 50, fid: 11 })];
    expect(fidDrawing([drawn({ points })], 'generatorUpdates').series[0]?.points).toEqual({ x: [0, 0, 50], mean: [439, 14, 11] });
  });
});
