import type { Axis } from './axis.js';
import type { ChartSeries } from './chart-series.js';
import { smoothedValues } from './draw-series.js';
import { formatCount } from '../view/format.js';
import { formatValue, shortDuration } from './format.js';
import { nearestIndex } from './nearest.js';

/** What a series shows at a place. */
export interface Reading {
  readonly x: number;
  readonly value: number;
  /** the smoothed line there */
  readonly smooth: number | undefined;
  readonly min: number;
  readonly max: number;
  /** confidence */
  readonly lower: number | undefined;
  readonly upper: number | undefined;
  readonly count: number;
}

/**
 * The point that is nearest to `x`, or the last one when the cursor is nowhere. Nothing where the series is not: beyond its ends by
 * more than `reach`, in units of the axis, or half its spacing; and of single marks, further from one than `reach`.
 */
export function readAt(series: ChartSeries, x: number | undefined, reach: number): Reading | undefined {
  const { points } = series;
  const index = x === undefined ? lastFinite(points.mean) : indexAt(series, x, reach);
  const mean = index === undefined ? undefined : (series.stack?.own ?? points.mean)[index];
  if (index === undefined || mean === undefined || !Number.isFinite(mean)) return undefined;
  return {
    x: points.x[index] as number,
    value: mean,
    smooth: smoothedValues(series)?.[index],
    min: points.min?.[index] ?? mean,
    max: points.max?.[index] ?? mean,
    lower: finite(points.lower?.[index]),
    upper: finite(points.upper?.[index]),
    count: points.count?.[index] ?? 1,
  };
}

/** "0.312", with what stands behind it: "0.312 ± 0.02", "0.31 to 0.35 in 24 values". */
export function readingText(reading: Reading, format: (value: number) => string = formatValue): { readonly main: string; readonly detail: string } {
  const { value, smooth, min, max, lower, upper, count } = reading;
  const main = format(smooth ?? value);
  const parts: string[] = [];
  if (smooth !== undefined && format(value) !== main) parts.push(`raw ${format(value)}`);
  if (count > 1 && format(min) !== format(max)) parts.push(`${format(min)} to ${format(max)}`);
  if (lower !== undefined && upper !== undefined) parts.push(`${format(lower)} to ${format(upper)}`);
  return { main, detail: parts.join(', ') };
}

/** A place on an axis for people: "update 1,200", "1 h 05". */
export function placeText(axis: Axis, x: number): string {
  switch (axis) {
    case 'updates':
      return `update ${formatCount(Math.round(x))}`;
    case 'generatorUpdates':
      return `generator update ${formatCount(Math.round(x))}`;
    case 'samples':
      return `${formatCount(Math.round(x))} samples`;
    case 'wallTime':
      return shortDuration(x);
  }
}

/** Index of the point that the cursor at `x` means. */
export function indexAt({ points, line }: ChartSeries, x: number, reach: number): number | undefined {
  const index = nearestIndex(points.x, x);
  if (index === undefined) return undefined;
  const first = points.x[0] as number;
  const last = points.x.at(-1) as number;
  if (line === false) return Math.abs((points.x[index] as number) - x) <= reach ? index : undefined;
  const spacing = points.x.length > 1 ? (last - first) / (points.x.length - 1) / 2 : 0;
  const beyond = Math.max(first - x, x - last);
  return beyond <= Math.max(reach, spacing) ? index : undefined;
}

/** How far from the cursor a point may be and still be meant: a fiftieth of what is shown. */
export function reachOf(shown: readonly [number, number] | undefined): number {
  return shown ? (shown[1] - shown[0]) / 50 : Infinity;
}

function lastFinite(values: readonly number[]): number | undefined {
  const index = values.findLastIndex((value) => Number.isFinite(value));
  return index < 0 ? undefined : index;
}

function finite(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}
