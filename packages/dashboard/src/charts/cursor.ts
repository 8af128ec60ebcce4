import { signal } from '@preact/signals';
import type { Axis } from './axis.js';

export type { Axis } from './axis.js';

/** A place on an axis that all charts, and the slider of the sample grids, point at together. */
export interface CursorPlace {
  readonly axis: Axis;
  /** in units of the axis */
  readonly x: number;
}

/** The place under the pointer, or where the keyboard has moved it; undefined while it is nowhere. */
export const cursor = signal<CursorPlace | undefined>(undefined);
