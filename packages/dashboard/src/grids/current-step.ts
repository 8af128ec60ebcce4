import { placeOn, type KnownPlaces } from '../fid/axis-places.js';
import type { Axis } from '../charts/axis.js';
import type { CursorPlace } from '../charts/cursor.js';
import { nearestStep, type GridStep } from './grid-steps.js';

/** What decides which step is shown. */
export interface StepChoice {
  readonly axis: Axis;
  readonly places: KnownPlaces;
  /** what a chart's cursor points at, if anything */
  readonly hovered: CursorPlace | undefined;
  /** update that was chosen; undefined to follow the newest */
  readonly selected: number | undefined;
}

/** Index of the step that is shown: the nearest to the cursor, else the nearest to what was chosen, else the newest; -1 without steps. */
export function currentStep(steps: readonly GridStep[], { axis, places, hovered, selected }: StepChoice): number {
  const pointedAt = hovered?.axis === axis ? nearestStep(steps, hovered.x, (step) => placeOn(axis, step, places)) : -1;
  if (pointedAt >= 0) return pointedAt;
  return selected === undefined ? steps.length - 1 : nearestStep(steps, selected, ({ update }) => update);
}

/**
 * The step of another run that belongs beside `step`: the nearest on the axis. While a place is unknown, the nearest by update.
 * @returns undefined when the other run has no steps
 */
export function stepBeside(step: GridStep, places: KnownPlaces, others: readonly GridStep[], otherPlaces: KnownPlaces, axis: Axis): GridStep | undefined {
  const wanted = placeOn(axis, step, places);
  const found = wanted === undefined ? -1 : nearestStep(others, wanted, (other) => placeOn(axis, other, otherPlaces));
  return others[found >= 0 ? found : nearestStep(others, step.update, ({ update }) => update)];
}
