import type { Zoom } from './chart-series.js';
import type { Scale } from './projection.js';

/**
 * The range that is `factor` as wide (below 1: nearer), with `centre` at the same place of the plot; undefined once it would show
 * everything. Works in the space of the axis, so that a logarithmic one zooms evenly.
 */
export function zoomBy({ min, max, log }: Scale, factor: number, centre: number | undefined, extent: Zoom | undefined): Zoom | undefined {
  const [low, high] = log ? [Math.log10(min), Math.log10(max)] : [min, max];
  const middle = centre === undefined || (log && centre <= 0) ? (low + high) / 2 : log ? Math.log10(centre) : centre;
  return limited({ min: middle - (middle - low) * factor, max: middle + (high - middle) * factor, log }, extent);
}

/** The range moved by a share of its width; undefined when it shows everything anyway. */
export function panBy({ min, max, log }: Scale, share: number, extent: Zoom | undefined): Zoom | undefined {
  const [low, high] = log ? [Math.log10(min), Math.log10(max)] : [min, max];
  const by = (high - low) * share;
  if (!extent) return limited({ min: low + by, max: high + by, log }, extent);
  const [first, last] = log ? [Math.log10(Math.max(extent[0], Number.MIN_VALUE)), Math.log10(extent[1])] : extent;
  const allowed = Math.max(Math.min(0, first - low), Math.min(by, Math.max(0, last - high)));
  return limited({ min: low + allowed, max: high + allowed, log }, extent);
}

function limited({ min, max, log }: Scale, extent: Zoom | undefined): Zoom | undefined {
  const [from, to] = log ? [10 ** min, 10 ** max] : [min, max];
  if (!extent) return [from, to];
  const start = Math.max(from, extent[0]);
  const end = Math.min(to, extent[1]);
  return start <= extent[0] && end >= extent[1] ? undefined : start < end ? [start, end] : undefined;
}
