import { describe, expect, it } from 'vitest';
import { pointAt } from '../fid/testing.js';
import { gridSteps, loadingOrder, nearestStep } from './grid-steps.js';

describe('gridSteps', () => {
  it('takes periodic grids of the run, ascending', () => {
    const steps = gridSteps([pointAt(300), pointAt(100), pointAt(200, { hasGrid: false }), pointAt(400, { kind: 'final' }), pointAt(500, { runId: 'b' })], 'a');
    expect(steps.map(({ update }) => update)).toEqual([100, 300]);
  });

  it('leaves out grids of other noise: a cell is the same noise at each step', () => {
    const steps = gridSteps([pointAt(100, { noiseSeed: '9' }), pointAt(200), pointAt(300)], 'a');
    expect(steps.map(({ update }) => update)).toEqual([200, 300]);
  });

  it('has no steps without grids', () => expect(gridSteps([], 'a')).toEqual([]));
});

describe('nearestStep', () => {
  const steps = [0, 10, 20, 30];
  const same = (place: number) => place;
  it.each([
    [-5, 0], [4, 0], [5, 1], [14, 1], [26, 3], [1000, 3],
  ])('finds the one nearest to %d', (wanted, index) => expect(nearestStep(steps, wanted, same)).toBe(index));

  it('takes the later of several at the same place', () => expect(nearestStep([0, 0, 0, 5], 0, same)).toBe(2));
  it('passes over steps of unknown place', () => expect(nearestStep(steps, 10, (place) => (place === 10 ? undefined : place))).toBe(2));
  it('finds none among none', () => {
    expect(nearestStep([], 3, same)).toBe(-1);
    expect(nearestStep(steps, 3, () => undefined)).toBe(-1);
  });
});

it('loads the neighbours first', () => {
  expect(loadingOrder(6, 2)).toEqual([2, 3, 1, 4, 0, 5]);
  expect(loadingOrder(6, 0, 3)).toEqual([0, 1, 2]);
  expect(loadingOrder(0, -1)).toEqual([]);
});
