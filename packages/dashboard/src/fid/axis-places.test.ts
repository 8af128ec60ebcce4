import { describe, expect, it } from 'vitest';
import { placeOn, placesOf, placesToAsk } from './axis-places.js';

const known = placesOf([{ update: 100, generatorUpdates: 25, samples: 12_800, wallSeconds: 60.5 }]);

it('places a measurement on every axis', () => {
  const point = { update: 100, generatorUpdates: 25 };
  expect((['updates', 'generatorUpdates', 'samples', 'wallTime'] as const).map((axis) => placeOn(axis, point, known))).toEqual([100, 25, 12_800, 60.5]);
});

it('does not guess what the coordinator has not said', () => {
  const point = { update: 101, generatorUpdates: 25 };
  expect((['updates', 'generatorUpdates', 'samples', 'wallTime'] as const).map((axis) => placeOn(axis, point, known))).toEqual([101, 25, undefined, undefined]);
  expect(placeOn('samples', { update: 1, generatorUpdates: 0 }, placesOf([{ update: 1, samples: 'NaN' }]))).toBeUndefined();
});

describe('placesToAsk', () => {
  it('asks for what is unknown once, in short requests', () => {
    expect(placesToAsk([300, 100, 200, 300, 400], new Set([100]), 2)).toEqual([[200, 300], [400]]);
  });

  it('asks for nothing that is known', () => {
    expect(placesToAsk([100], new Set([100]))).toEqual([]);
    expect(placesToAsk([], new Set())).toEqual([]);
  });
});
