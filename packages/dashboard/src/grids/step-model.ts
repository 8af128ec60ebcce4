import { computed, type ReadonlySignal, type Signal } from '@preact/signals';
import { placeOn, type KnownPlaces } from '../fid/axis-places.js';
import type { FidPoint } from '../fid/fid-point.js';
import type { Axis } from '../charts/axis.js';
import type { CursorPlace } from '../charts/cursor.js';
import { currentStep } from './current-step.js';
import { gridSteps, nearestStep, type GridStep } from './grid-steps.js';
import { Player, type PlayerSurroundings } from './player.js';

export interface StepInputs {
  readonly runId: string;
  readonly points: ReadonlySignal<readonly FidPoint[]>;
  readonly places: ReadonlySignal<KnownPlaces>;
  readonly axis: ReadonlySignal<Axis>;
  /** where the charts point at; a step that is chosen otherwise takes it away */
  readonly cursor: Signal<CursorPlace | undefined>;
  /** update of the chosen step; undefined to follow the newest */
  readonly selected: Signal<number | undefined>;
}

/** The steps of the slider and the one that is shown: one state for the slider, the grids and the charts. */
export class StepModel {
  readonly #inputs: StepInputs;
  readonly steps: ReadonlySignal<readonly GridStep[]>;
  /** index of the step that is shown; -1 without steps */
  readonly index: ReadonlySignal<number>;
  readonly current: ReadonlySignal<GridStep | undefined>;
  /** place of the step that is shown, on the axis */
  readonly x: ReadonlySignal<number | undefined>;
  readonly player: Player;

  constructor(inputs: StepInputs, surroundings?: PlayerSurroundings) {
    this.#inputs = inputs;
    const { runId, points, places, axis, cursor, selected } = inputs;
    this.steps = computed(() => gridSteps(points.value, runId));
    this.index = computed(() => currentStep(this.steps.value, { axis: axis.value, places: places.value, hovered: cursor.value, selected: selected.value }));
    this.current = computed(() => this.steps.value[this.index.value]);
    this.x = computed(() => this.current.value && placeOn(axis.value, this.current.value, places.value));
    this.player = new Player({ count: () => this.steps.value.length, current: () => this.index.value, show: (index) => this.#show(index) }, surroundings);
  }

  /** Whether the newest step is shown as it comes. */
  get isFollowing(): boolean {
    return this.#inputs.selected.value === undefined;
  }

  /** Goes to a step, as a person does. */
  select(index: number): void {
    this.player.pause();
    this.#show(index);
  }

  /** Goes to the step that is nearest to a place on the axis. */
  selectAt(x: number): void {
    const { axis, places } = this.#inputs;
    const index = nearestStep(this.steps.value, x, (step) => placeOn(axis.value, step, places.value));
    if (index >= 0) this.select(index);
  }

  /** Goes to each new step as it comes, or stays with the one that is shown. */
  follow(follow: boolean): void {
    this.player.pause();
    this.#inputs.cursor.value = undefined;
    this.#inputs.selected.value = follow ? undefined : this.current.value?.update;
  }

  #show(index: number): void {
    const step = this.steps.value[Math.min(Math.max(0, index), this.steps.value.length - 1)];
    if (!step) return;
    this.#inputs.cursor.value = undefined;
    this.#inputs.selected.value = step.update;
  }
}
