import type { Axis } from '../charts/axis.js';
import type { ChartSeries, SeriesPoints, Zoom } from '../charts/chart-series.js';
import { firstNotBelow } from '../charts/nearest.js';
import { columnsBefore, join, slice } from './series-columns.js';
import type { LoadedSeries } from './series-layer.js';

/** What is drawn of a series, and what its smoothed line has seen before. */
export interface DrawnSeries {
  readonly points: SeriesPoints;
  readonly before?: SeriesPoints;
}

/**
 * Of what is loaded, what shows the view best: the zoomed part when it covers the zoom, else the overview. Nothing of another axis.
 */
export function drawnSeries(whole: LoadedSeries | undefined, part: LoadedSeries | undefined, axis: Axis, zoom: Zoom | undefined): DrawnSeries | undefined {
  const overview = whole?.scope.axis === axis ? whole.columns : undefined;
  const range = part?.scope.range;
  if (zoom && part && range && part.scope.axis === axis && range[0] <= zoom[0] && range[1] >= zoom[1]) {
    const margin = (zoom[1] - zoom[0]) * 0.05;
    // one point before the plot stays, for the line that comes in from there
    const first = Math.max(0, firstNotBelow(part.columns.x, zoom[0] - margin) - 1);
    const lead = slice(part.columns, 0, first);
    return { points: slice(part.columns, first, part.columns.x.length), before: overview ? join(columnsBefore(overview, range[0]), lead) : lead };
  }
  return overview && { points: overview };
}

/** Layers of a stacked area from series that share their places; those that have other places are left out, as they cannot be added. */
export function stackedSeries(series: readonly (Omit<ChartSeries, 'points'> & { readonly points: SeriesPoints })[]): ChartSeries[] {
  const places = series[0]?.points.x ?? [];
  let base: readonly number[] = places.map(() => 0);
  return series.flatMap((one) => {
    const { points } = one;
    if (points.x.length !== places.length || points.x.some((x, index) => x !== places[index])) return [];
    const under = base;
    const top = points.mean.map((value, index) => (under[index] as number) + (Number.isFinite(value) ? Math.max(0, value) : 0));
    base = top;
    return { ...one, points: { x: points.x, mean: top, ...(points.count ? { count: points.count } : {}) }, stack: { base: under, own: points.mean } };
  });
}
