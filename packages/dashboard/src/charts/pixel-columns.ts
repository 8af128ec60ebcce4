import type { SeriesPoints } from './chart-series.js';
import { firstNotBelow } from './nearest.js';
import type { Projection } from './projection.js';

/** What one column of pixels shows: the mean of all values that fall into it, and their extremes. */
export interface PixelColumn {
  /** of its first point, in pixels */
  readonly x: number;
  /** where the next point begins, in pixels; the column's own right edge when there is none */
  readonly end: number;
  mean: number;
  low: number;
  high: number;
  /** values behind it */
  count: number;
}

/** Indices [from, to) of the points within the range, with one more on either side for the lines that leave the plot. */
export function visibleIndices(x: readonly number[], min: number, max: number): readonly [from: number, to: number] {
  let to = firstNotBelow(x, max);
  while (to < x.length && x[to] === max) to += 1;
  return [Math.max(0, firstNotBelow(x, min) - 1), Math.min(x.length, to + 1)];
}

/**
 * Points as columns of pixels, at most one for each, so that drawing costs what the plot is wide; no extreme is lost. `values` stand
 * in for the means where they are given, and then they are their own extremes. Points that `projectX` has no place for are left out.
 */
export function pixelColumns(points: SeriesPoints, [from, to]: readonly [number, number], projectX: Projection, values?: readonly number[]): PixelColumn[] {
  const { x, mean, count } = points;
  const lows = values ?? points.min ?? mean;
  const highs = values ?? points.max ?? mean;
  const means = values ?? mean;
  const columns: (PixelColumn & { end: number })[] = [];
  let last: (PixelColumn & { end: number }) | undefined;
  let lastPixel = NaN;
  for (let index = from; index < to; index += 1) {
    const place = projectX(x[index] as number);
    if (Number.isNaN(place)) continue;
    const value = means[index] as number;
    const low = lows[index] as number;
    const high = highs[index] as number;
    const weight = count?.[index] ?? 1;
    const pixel = Math.floor(place);
    if (last && pixel === lastPixel && Number.isFinite(last.mean) && Number.isFinite(value)) {
      const total = last.count + weight;
      last.mean += ((value - last.mean) * weight) / total;
      last.count = total;
      if (low < last.low) last.low = low;
      if (high > last.high) last.high = high;
      continue;
    }
    if (last) last.end = place;
    last = { x: place, end: place + 1, mean: value, low, high, count: weight };
    lastPixel = pixel;
    columns.push(last);
  }
  // the last bucket is taken to be as wide as the one before
  const before = columns.at(-2);
  if (last && before && last.count > 1) last.end = last.x + Math.max(1, before.end - before.x);
  return columns;
}
