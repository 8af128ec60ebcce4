import { signal } from '@preact/signals';
import { describe, expect, it } from 'vitest';
import type { Axis } from '../charts/axis.js';
import type { CursorPlace } from '../charts/cursor.js';
import type { KnownPlaces } from '../fid/axis-places.js';
import type { FidPoint } from '../fid/fid-point.js';
import { pointAt } from '../fid/testing.js';
import { StepModel } from './step-model.js';

function model() {
  const points = signal<readonly FidPoint[]>([100, 200, 300].map((update) => pointAt(update)));
  const places = signal<KnownPlaces>(new Map());
  const axis = signal<Axis>('updates');
  const cursor = signal<CursorPlace | undefined>(undefined);
  const selected = signal<number | undefined>(undefined);
  let pass = (): void => undefined;
  const steps = new StepModel({ runId: 'a', points, places, axis, cursor, selected }, { setTimer: (run) => ((pass = run), () => (pass = () => undefined)), isMotionReduced: () => false });
  return { points, axis, cursor, selected, steps, pass: () => pass() };
}

describe('StepModel', () => {
  it('shows each new step until one is chosen', () => {
    const { points, selected, steps } = model();
    expect(steps.current.value?.update).toBe(300);
    expect(steps.isFollowing).toBe(true);
    points.value = [...points.value, pointAt(400)];
    expect(steps.current.value?.update).toBe(400);
    steps.select(0);
    expect(selected.value).toBe(100);
    points.value = [...points.value, pointAt(500)];
    expect(steps.index.value).toBe(0);
    steps.follow(true);
    expect(steps.current.value?.update).toBe(500);
    steps.follow(false);
    expect(selected.value).toBe(500);
  });

  it('is one state for chart and slider, both ways', () => {
    const { axis, cursor, selected, steps } = model();
    cursor.value = { axis: 'updates', x: 120 };
    expect(steps.index.value).toBe(0);
    expect(selected.value).toBeUndefined(); // pointing chooses nothing
    steps.selectAt(210);
    expect([selected.value, steps.index.value, steps.x.value]).toEqual([200, 1, 200]);
    axis.value = 'generatorUpdates';
    expect(steps.x.value).toBe(50);
    cursor.value = { axis: 'generatorUpdates', x: 75 };
    expect(steps.index.value).toBe(2);
    steps.select(0); // the slider is moved while the pointer rests on a chart
    expect(steps.index.value).toBe(0);
  });

  it('stays inside the steps', () => {
    const { selected, steps } = model();
    steps.select(99);
    expect(selected.value).toBe(300);
    steps.select(-1);
    expect(selected.value).toBe(100);
  });

  it('plays through the steps, and stops when a person chooses one', () => {
    const { selected, steps, pass } = model();
    steps.player.play();
    expect(selected.value).toBe(100);
    pass();
    expect(selected.value).toBe(200);
    steps.select(0);
    expect(steps.player.isPlaying.value).toBe(false);
    pass();
    expect(selected.value).toBe(100);
  });

  it('has nothing to show without grids', () => {
    const { points, selected, steps } = model();
    points.value = [pointAt(100, { hasGrid: false })];
    expect([steps.index.value, steps.current.value, steps.x.value]).toEqual([-1, undefined, undefined]);
    steps.select(0);
    steps.selectAt(100);
    expect(selected.value).toBeUndefined();
  });
});
