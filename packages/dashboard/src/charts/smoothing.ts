import type { SeriesPoints } from './chart-series.js';

/** Memory of a moving average: the sum it has, and the weight behind it. Their quotient is the average. */
interface Average {
  sum: number;
  weight: number;
}

/**
 * Exponential moving average of a series, corrected for its start (Kingma & Ba, "Adam", 2015, section 3): one value forgets
 * `factor` of the past's weight. A bucket of n values forgets factor^n, as its values one by one would, so that the curve is the
 * same whatever the buckets are. `before` are values that the average has already seen. NaN where there is no value.
 */
export function smoothed({ mean, count }: SeriesPoints, factor: number, before?: SeriesPoints): number[] {
  const average: Average = { sum: 0, weight: 0 };
  if (before) before.mean.forEach((value, index) => add(average, value, before.count?.[index] ?? 1, factor));
  return mean.map((value, index) => {
    if (!Number.isFinite(value)) return NaN;
    add(average, value, count?.[index] ?? 1, factor);
    return average.sum / average.weight;
  });
}

/** Values after which only `rest` of a start's influence is left: how far a smoothed line has to look back. */
export function memoryOf(factor: number, rest = 0.02): number {
  return factor <= 0 ? 0 : Math.ceil(Math.log(rest) / Math.log(factor));
}

function add(average: Average, value: number, count: number, factor: number): void {
  if (!Number.isFinite(value)) return;
  const kept = factor ** count;
  average.sum = kept * average.sum + (1 - kept) * value;
  average.weight = kept * average.weight + (1 - kept);
}
