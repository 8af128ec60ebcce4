import type { JsonNumber } from '../api/messages.js';
import type { SeriesPoints, Zoom } from '../charts/chart-series.js';
import { firstNotBelow } from '../charts/nearest.js';

/** A series as the coordinator has it: buckets ascending by x. */
export interface SeriesColumns extends SeriesPoints {
  readonly min: readonly number[];
  readonly max: readonly number[];
  readonly count: readonly number[];
}

/** A series as JSON. */
export interface SeriesMessage {
  readonly x: readonly JsonNumber[];
  readonly mean: readonly JsonNumber[];
  readonly min: readonly JsonNumber[];
  readonly max: readonly JsonNumber[];
  readonly count: readonly number[];
}

/** From the message; columns that are longer than the others are cut. */
export function columnsOf({ x, mean, min, max, count }: SeriesMessage): SeriesColumns {
  const length = Math.min(x.length, mean.length, min.length, max.length, count.length);
  const numbers = (values: readonly JsonNumber[]): number[] => values.slice(0, length).map(Number);
  return { x: numbers(x), mean: numbers(mean), min: numbers(min), max: numbers(max), count: count.slice(0, length) };
}

/** Everything before `from` as it was, and `tail` instead of the rest: how a series that grows is continued. */
export function mergeTail(old: SeriesColumns, tail: SeriesColumns, from: number): SeriesColumns {
  const kept = firstNotBelow(old.x, from);
  return join(slice(old, 0, kept), tail);
}

/**
 * What a smoothed line has seen before `from`: the buckets before it, and of one that reaches beyond it the share that lies before.
 */
export function columnsBefore(columns: SeriesColumns, from: number): SeriesColumns {
  const end = firstNotBelow(columns.x, from);
  const last = columns.x[end - 1];
  const next = columns.x[end];
  if (last === undefined || next === undefined) return slice(columns, 0, end);
  const share = (from - last) / (next - last);
  const before = slice(columns, 0, end);
  return { ...before, count: [...before.count.slice(0, -1), (columns.count[end - 1] as number) * share] };
}

export function slice({ x, mean, min, max, count }: SeriesColumns, start: number, end: number): SeriesColumns {
  return { x: x.slice(start, end), mean: mean.slice(start, end), min: min.slice(start, end), max: max.slice(start, end), count: count.slice(start, end) };
}

export function join(first: SeriesColumns, second: SeriesColumns): SeriesColumns {
  return {
    x: [...first.x, ...second.x],
    mean: [...first.mean, ...second.mean],
    min: [...first.min, ...second.min],
    max: [...first.max, ...second.max],
    count: [...first.count, ...second.count],
  };
}

export function countOf({ count }: SeriesColumns): number {
  return count.reduce((sum, one) => sum + one, 0);
}

/**
 * The range to ask for when a zoom is to be seen: a little more at both ends for the lines that leave the plot, and at the start
 * `memory` values more, as dense as `overview` says they are there, that smoothed lines start from.
 */
export function rangeToLoad([from, to]: Zoom, memory: number, overview: SeriesColumns | undefined): Zoom {
  const margin = (to - from) * 0.02;
  const end = to + margin;
  if (!overview || overview.x.length < 2) return [from - margin, end];
  const at = Math.min(overview.x.length - 2, Math.max(0, firstNotBelow(overview.x, from) - 1));
  const width = (overview.x[at + 1] as number) - (overview.x[at] as number);
  const density = width > 0 ? (overview.count[at] as number) / width : Infinity;
  return [from - margin - Math.min(memory / density, from - (overview.x[0] as number)), end];
}
