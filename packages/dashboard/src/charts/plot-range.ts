import type { ChartReference, ChartSeries, Zoom } from './chart-series.js';
import { smoothedValues } from './draw-series.js';
import { visibleIndices } from './pixel-columns.js';
import { padded, type Scale } from './projection.js';

/** From the first to the last x of all series; undefined when there is none. On a logarithmic axis only those above 0 count. */
export function extentOf(series: readonly ChartSeries[], log = false): Zoom | undefined {
  let from = Infinity;
  let to = -Infinity;
  for (const { points } of series) {
    const first = log ? points.x.find((x) => x > 0) : points.x[0];
    const last = points.x.at(-1);
    if (first === undefined || last === undefined || (log && last <= 0)) continue;
    if (first < from) from = first;
    if (last > to) to = last;
  }
  return from <= to ? [from, to] : undefined;
}

/** What the x axis shows: the zoom, or everything. Always a range that can be drawn. */
export function xScale(series: readonly ChartSeries[], { zoom, extent, log }: { zoom: Zoom | undefined; extent: Zoom | undefined; log: boolean }): Scale {
  const whole = extent && (!log || extent[0] > 0) ? extent : extentOf(series, log);
  let [min, max] = zoom ?? whole ?? [0, 1];
  if (log && min <= 0) min = Math.min(whole?.[0] ?? 1, max > 0 ? max / 1000 : 1);
  if (log && max <= min) max = min * 10;
  if (max <= min) return log ? { min: min / 1.5, max: min * 1.5, log } : { min: min - 1, max: min + 1, log };
  return { min, max, log };
}

/** What the y axis shows: every extreme of what is visible, with intervals and the references that want to be in range. */
export function yScale(series: readonly ChartSeries[], references: readonly ChartReference[], x: Scale, { log, fromZero }: { log: boolean; fromZero: boolean }): Scale {
  let min = Infinity;
  let max = -Infinity;
  const take = (value: number | undefined): void => {
    if (value === undefined || !Number.isFinite(value) || (log && value <= 0)) return;
    if (value < min) min = value;
    if (value > max) max = value;
  };
  for (const one of series) {
    const { points, stack } = one;
    const [from, to] = visibleIndices(points.x, x.min, x.max);
    const curve = smoothedValues(one);
    const onlyCurve = curve && one.faintRaw === false;
    for (let index = from; index < to; index += 1) {
      const place = points.x[index] as number;
      if ((place < x.min || place > x.max) && to - from > 2) continue;
      if (curve) take(curve[index]);
      if (onlyCurve) continue;
      take(points.mean[index]);
      take(points.min?.[index]);
      take(points.max?.[index]);
      take(points.lower?.[index]);
      take(points.upper?.[index]);
      if (stack) take(stack.base[index]);
    }
  }
  for (const { y, inRange } of references) if (inRange !== false || min > max) take(y);
  if (min > max) return log ? { min: 0.1, max: 10, log } : { min: 0, max: 1, log };
  if (fromZero && !log && min >= 0) return { min: 0, max: max > 0 ? max * 1.06 : 1, log };
  return padded(min, max, log);
}

/** Whether a logarithmic axis has a place for any value. */
export function hasPositive(series: readonly ChartSeries[]): boolean {
  return series.some(({ points }) => (points.max ?? points.mean).some((value) => value > 0));
}

/** Values that a logarithmic axis leaves out, at least: of a bucket that reaches to 0 or below only one is sure. */
export function countLeftOut(series: readonly ChartSeries[], { logX, logY }: { logX: boolean; logY: boolean }): number {
  if (!logX && !logY) return 0;
  let left = 0;
  for (const { points } of series) {
    points.x.forEach((x, index) => {
      const count = points.count?.[index] ?? 1;
      const mean = points.mean[index] as number;
      if (!Number.isFinite(mean)) return;
      if (logX && x <= 0) left += count;
      else if (logY && (points.max?.[index] ?? mean) <= 0) left += count;
      else if (logY && (points.min?.[index] ?? mean) <= 0) left += 1;
    });
  }
  return left;
}
