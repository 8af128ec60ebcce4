import { expect, it } from 'vitest';
import { firstNotBelow, nearestIndex } from './nearest.js';

it('finds the nearest place, the earlier of two that are as near, the first of equal ones', () => {
  const places = [0, 10, 10, 10, 20, 35];
  expect(nearestIndex(places, -5)).toBe(0);
  expect(nearestIndex(places, 5)).toBe(0);
  expect(nearestIndex(places, 5.1)).toBe(1);
  expect(nearestIndex(places, 14)).toBe(1);
  expect(nearestIndex(places, 16)).toBe(4);
  expect(nearestIndex(places, 1e9)).toBe(5);
  expect(nearestIndex([3, 3], 9)).toBe(0);
  expect(nearestIndex([], 1)).toBeUndefined();
  expect(nearestIndex(places, NaN)).toBeUndefined();
});

it('finds the first that is not below', () => {
  expect(firstNotBelow([1, 2, 2, 5], 2)).toBe(1);
  expect(firstNotBelow([1, 2, 2, 5], 6)).toBe(4);
  expect(firstNotBelow([1, 2, 2, 5], 0)).toBe(0);
});
