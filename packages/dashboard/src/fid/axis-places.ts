import type { AxisPositionJson } from '@dd2/proto/run-messages';
import type { Axis } from '../charts/cursor.js';

/** Where an update is on every axis. */
export interface Place {
  readonly update: number;
  readonly generatorUpdates: number;
  /** samples that the updates so far were computed from; unknown until the coordinator has said so */
  readonly samples: number | undefined;
  /** seconds since the run's first update began; unknown until the coordinator has said so */
  readonly wallSeconds: number | undefined;
}

/** What the coordinator has said, by update. */
export type KnownPlaces = ReadonlyMap<number, Place>;

export function placesOf(positions: readonly AxisPositionJson[]): Map<number, Place> {
  return new Map(
    positions.map(({ update = 0, generatorUpdates = 0, samples, wallSeconds }) => [update, { update, generatorUpdates, samples: numberOf(samples), wallSeconds: numberOf(wallSeconds) }]),
  );
}

/** A measurement's place on an axis; undefined while it is unknown. Updates and generator updates are known without asking. */
export function placeOn(axis: Axis, point: { readonly update: number; readonly generatorUpdates: number }, known: KnownPlaces): number | undefined {
  if (axis === 'updates') return point.update;
  if (axis === 'generatorUpdates') return point.generatorUpdates;
  const place = known.get(point.update);
  return axis === 'samples' ? place?.samples : place?.wallSeconds;
}

/** Updates whose place has to be asked for, in requests of at most `size`: a request line must stay short. */
export function placesToAsk(updates: readonly number[], known: ReadonlySet<number>, size = 200): number[][] {
  const missing = [...new Set(updates)].filter((update) => !known.has(update)).sort((a, b) => a - b);
  return Array.from({ length: Math.ceil(missing.length / size) }, (_, index) => missing.slice(index * size, (index + 1) * size));
}

function numberOf(value: number | string | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
