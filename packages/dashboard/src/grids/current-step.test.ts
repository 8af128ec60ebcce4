import { describe, expect, it } from 'vitest';
import { placesOf } from '../fid/axis-places.js';
import { pointAt } from '../fid/testing.js';
import { currentStep, stepBeside } from './current-step.js';

const steps = [100, 200, 300].map((update) => pointAt(update));
const places = placesOf([100, 200, 300].map((update) => ({ update, generatorUpdates: update / 4, samples: update * 10, wallSeconds: update / 2 })));
const choice = { axis: 'updates', places, hovered: undefined, selected: undefined } as const;

describe('currentStep', () => {
  it('follows the newest until one is chosen', () => {
    expect(currentStep(steps, choice)).toBe(2);
    expect(currentStep([...steps, pointAt(400)], choice)).toBe(3);
    expect(currentStep([...steps, pointAt(400)], { ...choice, selected: 210 })).toBe(1);
    expect(currentStep([], choice)).toBe(-1);
  });

  it('goes with the cursor of the charts, and back', () => {
    expect(currentStep(steps, { ...choice, selected: 300, hovered: { axis: 'updates', x: 90 } })).toBe(0);
    expect(currentStep(steps, { ...choice, axis: 'wallTime', hovered: { axis: 'wallTime', x: 99 } })).toBe(1);
    expect(currentStep(steps, { ...choice, selected: 300 })).toBe(2);
  });

  it('does not take the units of another axis for its own, or what it cannot place', () => {
    expect(currentStep(steps, { ...choice, selected: 300, hovered: { axis: 'wallTime', x: 50 } })).toBe(2);
    expect(currentStep(steps, { ...choice, axis: 'samples', places: new Map(), selected: 200, hovered: { axis: 'samples', x: 1000 } })).toBe(1);
  });
});

describe('stepBeside', () => {
  const others = [pointAt(150, { runId: 'b', generatorUpdates: 100 }), pointAt(290, { runId: 'b', generatorUpdates: 200 })];

  it('is the nearest on the axis', () => {
    expect(stepBeside(pointAt(300), places, others, new Map(), 'updates')?.update).toBe(290);
    expect(stepBeside(pointAt(300, { generatorUpdates: 75 }), places, others, new Map(), 'generatorUpdates')?.update).toBe(150);
  });

  it('is the nearest update while places are unknown', () => {
    expect(stepBeside(pointAt(300), places, others, new Map(), 'wallTime')?.update).toBe(290);
    expect(stepBeside(pointAt(300), new Map(), others, new Map(), 'wallTime')?.update).toBe(290);
    expect(stepBeside(pointAt(300), places, [], new Map(), 'updates')).toBeUndefined();
  });
});
