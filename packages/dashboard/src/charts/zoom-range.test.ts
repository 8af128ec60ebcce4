import { expect, it } from 'vitest';
import { panBy, zoomBy } from './zoom-range.js';

it('keeps the centre where it is', () => {
  expect(zoomBy({ min: 0, max: 100, log: false }, 0.5, 20, [0, 100])).toEqual([10, 60]);
  expect(zoomBy({ min: 0, max: 100, log: false }, 0.5, undefined, [0, 100])).toEqual([25, 75]);
  const [from, to] = zoomBy({ min: 1, max: 10_000, log: true }, 0.5, 100, [1, 10_000]) ?? [];
  expect(from).toBeCloseTo(10, 9);
  expect(to).toBeCloseTo(1000, 9);
});

it('shows everything, not more, when it is zoomed out far enough', () => {
  expect(zoomBy({ min: 20, max: 60, log: false }, 2, undefined, [0, 100])).toEqual([0, 80]);
  expect(zoomBy({ min: 20, max: 60, log: false }, 10, undefined, [0, 100])).toBeUndefined();
});

it('moves within what there is, without changing the width', () => {
  expect(panBy({ min: 20, max: 60, log: false }, 0.5, [0, 100])).toEqual([40, 80]);
  expect(panBy({ min: 50, max: 90, log: false }, 0.5, [0, 100])).toEqual([60, 100]);
  expect(panBy({ min: 10, max: 50, log: false }, -0.5, [0, 100])).toEqual([0, 40]);
  const [from, to] = panBy({ min: 10, max: 100, log: true }, 1, [1, 10_000]) ?? [];
  expect(from).toBeCloseTo(100, 9);
  expect(to).toBeCloseTo(1000, 9);
});
