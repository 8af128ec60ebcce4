import { expect, it } from 'vitest';
import { medianOf } from './median.js';

it.each([
  [[3], 3],
  [[5, 1], 3],
  [[9, 1, 5], 5],
  [[4, 1, 100, 2], 3],
])('the median of %j is %d', (values, expected) => {
  const before = [...values];
  expect(medianOf(values)).toBe(expected);
  expect(values).toEqual(before);
});
