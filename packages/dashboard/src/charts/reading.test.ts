import { expect, it } from 'vitest';
import type { ChartSeries } from './chart-series.js';
import { placeText, readAt, readingText } from './reading.js';
import { rebucket } from './rebucket.js';
import { summaryOf } from './summary.js';

const line: ChartSeries = { id: 'a', label: 'mnist', colour: '#000', points: { x: [10, 20, 30], mean: [3, 2, NaN], min: [1, 2, NaN], max: [4, 2, NaN], count: [5, 1, 2] } };

it('reads the nearest point, the last one when the cursor is nowhere, and nothing beyond the ends', () => {
  expect(readAt(line, 12, 1)).toMatchObject({ x: 10, value: 3, min: 1, max: 4, count: 5, smooth: undefined });
  expect(readAt(line, undefined, 1)).toMatchObject({ x: 20, value: 2 });
  expect(readAt(line, 31, 1)).toBeUndefined(); // there is no value
  expect(readAt(line, 6, 1)?.x).toBe(10); // within half the spacing
  expect(readAt(line, 3, 1)).toBeUndefined();
  expect(readAt(line, 3, 8)?.x).toBe(10);
});

it('reads single marks only near them', () => {
  const mark: ChartSeries = { ...line, line: false };
  expect(readAt(mark, 12, 1)).toBeUndefined();
  expect(readAt(mark, 10.5, 1)?.value).toBe(3);
});

it('says the smoothed value first, then what is behind it', () => {
  expect(readingText({ x: 1, value: 2, smooth: 1.5, min: 1, max: 3, lower: undefined, upper: undefined, count: 7 })).toEqual({ main: '1.5', detail: 'raw 2, 1 to 3' });
  expect(readingText({ x: 1, value: 7.4, smooth: undefined, min: 7.4, max: 7.4, lower: 7, upper: 7.8, count: 1 }, (value) => value.toFixed(2))).toEqual({ main: '7.40', detail: '7.00 to 7.80' });
});

it('names places', () => {
  expect(placeText('updates', 1200.4)).toBe('update 1,200');
  expect(placeText('wallTime', 3900)).toBe('1 h 05');
});

it('describes a chart in a sentence', () => {
  expect(summaryOf('Guidance loss', 'updates', [line])).toBe('Guidance loss over updates: mnist from 3 to 2, lowest 1');
  expect(summaryOf('Guidance loss', 'updates', [])).toBe('Guidance loss over updates: no values');
});

it('reads a stacked layer by what it adds', () => {
  const layer: ChartSeries = { ...line, points: { x: [1, 2], mean: [30, 40] }, stack: { base: [20, 25], own: [10, 15] } };
  expect(readAt(layer, 2, 1)?.value).toBe(15);
  expect(summaryOf('Time', 'updates', [layer])).toContain('from 10 to 15, lowest 10');
});

it('merges neighbours without losing extremes', () => {
  const merged = rebucket({ x: [1, 2, 3, 4, 5], mean: [1, 2, NaN, 4, 5], min: [-9, 2, NaN, 4, 5], max: [1, 2, NaN, 40, 5], count: [3, 1, 1, 1, 1] }, 3);
  expect(merged).toEqual({ x: [1, 3, 5], mean: [1.25, 4, 5], min: [-9, 4, 5], max: [2, 40, 5], count: [4, 1, 1] });
});
