import type { SeriesPoints } from './chart-series.js';

/** The same series in at most `wanted` buckets: neighbours are merged evenly, with their extremes, means weighted by their counts. */
export function rebucket(points: SeriesPoints, wanted: number): Required<Pick<SeriesPoints, 'x' | 'mean' | 'min' | 'max' | 'count'>> {
  const { x, mean, count } = points;
  const size = Math.max(1, Math.ceil(x.length / Math.max(1, wanted)));
  const merged = { x: [] as number[], mean: [] as number[], min: [] as number[], max: [] as number[], count: [] as number[] };
  for (let start = 0; start < x.length; start += size) {
    let sum = 0;
    let total = 0;
    let low = Infinity;
    let high = -Infinity;
    for (let index = start; index < Math.min(start + size, x.length); index += 1) {
      const value = mean[index] as number;
      if (!Number.isFinite(value)) continue;
      const weight = count?.[index] ?? 1;
      sum += value * weight;
      total += weight;
      low = Math.min(low, points.min?.[index] ?? value);
      high = Math.max(high, points.max?.[index] ?? value);
    }
    if (total === 0) continue;
    merged.x.push(x[start] as number);
    merged.mean.push(sum / total);
    merged.min.push(low);
    merged.max.push(high);
    merged.count.push(total);
  }
  return merged;
}
