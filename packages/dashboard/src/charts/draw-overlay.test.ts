import { expect, it } from 'vitest';
import { gapless, spread } from './draw-overlay.js';

it('leaves labels that have room where they want to be', () => {
  expect(spread([10, 50, 90], 14, 0, 100)).toEqual([10, 50, 90]);
});

it('moves labels apart that would stand on each other, as little as possible', () => {
  expect(spread([50, 52], 14, 0, 100)).toEqual([44, 58]);
  expect(spread([10, 50, 52, 90], 14, 0, 100)).toEqual([10, 44, 58, 90]);
});

it('keeps labels in the plot, in their order, and never nearer than the distance', () => {
  for (const wanted of [[0, 0, 0], [100, 100], [3, 4, 5, 97, 98, 99], [50, 50, 50, 50, 51]]) {
    const places = spread(wanted, 10, 5, 95);
    expect(places).toHaveLength(wanted.length);
    expect(Math.min(...places)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...places)).toBeLessThanOrEqual(95);
    places.slice(1).forEach((place, index) => expect(place - (places[index] as number)).toBeGreaterThanOrEqual(10 - 1e-9));
  }
});

it('leaves labels out of a line', () => {
  expect(gapless(0, 100, [])).toEqual([[0, 100]]);
  expect(gapless(0, 100, [{ top: 50, bottom: 60 }, { top: 10, bottom: 20 }, { top: 55, bottom: 70 }])).toEqual([[0, 10], [20, 50], [70, 100]]);
  expect(gapless(0, 100, [{ top: -5, bottom: 5 }, { top: 90, bottom: 105 }])).toEqual([[5, 90]]);
});
