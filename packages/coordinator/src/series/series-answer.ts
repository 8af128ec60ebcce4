import { bucketRows } from './bucket-grid.js';
import { firstAbove, firstNotBelow, type FloatList } from './float-list.js';
import type { SeriesColumn, Summary } from './series-column.js';
import type { SeriesQuery } from './series-request.js';
import type { SeriesStore } from './series-store.js';

/** GetRunSeriesResponse, in the names of its JSON form. */
export interface SeriesAnswer {
  readonly available: { readonly name: string; readonly points: number }[];
  readonly series: BucketedSeries[];
  readonly positions: { readonly update: number; readonly generatorUpdates: number; readonly samples: number; readonly wallSeconds: number }[];
  readonly updates: number;
}

export interface BucketedSeries {
  readonly name: string;
  readonly x: number[];
  readonly min: number[];
  readonly max: number[];
  readonly mean: number[];
  readonly count: number[];
  nonFinite: number;
}

/**
 * Answers from a store. A series that has no more points in the range than buckets were asked for comes complete, with the points of
 * the same place together; others are cut at the edges of one grid for all, see `bucketRows`. Buckets without finite points are left out.
 */
export function answerSeries(store: SeriesStore, query: SeriesQuery): SeriesAnswer {
  const axis = store.axes[query.axis];
  const from = query.from === undefined ? 0 : firstNotBelow(axis, query.from, 0, store.rows);
  const to = query.to === undefined ? store.rows : firstAbove(axis, query.to, from, store.rows);
  const grid = bucketRows(axis, from, to, query);
  const cuts = new Map<FloatList, readonly number[]>(); // the series of a group share their rows, and so their cuts
  return {
    available: store.columns.map(({ name, length }) => ({ name, points: length })),
    series: query.names.map((name) => {
      const column = store.column(name);
      if (!column) return emptySeries(name);
      const { rows } = column;
      // Not all series that share rows reach as far.
      const known = rows.length === column.length ? cuts.get(rows) : undefined;
      const cut = known ?? cutPoints(column, axis, grid, from, to, query.buckets);
      if (rows.length === column.length) cuts.set(rows, cut);
      return bucketSeries(column, axis, cut);
    }),
    positions: query.positions.flatMap((update) => positionOf(store, update)),
    updates: store.updates,
  };
}

/** The first point of each bucket, then the first one behind the range. */
function cutPoints({ rows, length }: SeriesColumn, axis: FloatList, grid: readonly number[], from: number, to: number, buckets: number): number[] {
  const first = firstNotBelow(rows, from, 0, length);
  const end = firstNotBelow(rows, to, first, length);
  const cuts: number[] = [];
  if (end - first <= buckets) {
    for (let point = first; point < end; point++) {
      if (point === first || axis.at(rows.at(point)) !== axis.at(rows.at(point - 1))) cuts.push(point);
    }
  } else {
    let point = first;
    for (let bucket = 1; bucket < grid.length; bucket++) {
      const next = firstNotBelow(rows, grid[bucket] ?? to, point, end);
      if (next > point) cuts.push(point);
      point = next;
    }
  }
  return [...cuts, end];
}

function bucketSeries(column: SeriesColumn, axis: FloatList, cuts: readonly number[]): BucketedSeries {
  const series = emptySeries(column.name);
  const summary: Summary = { min: 0, max: 0, sum: 0, count: 0 };
  for (let bucket = 0; bucket + 1 < cuts.length; bucket++) {
    const [from, to] = [cuts[bucket] ?? 0, cuts[bucket + 1] ?? 0];
    column.summarise(from, to, summary);
    const { min, max, sum, count } = summary;
    series.nonFinite += to - from - count;
    if (count === 0) continue;
    let first = from;
    if (count < to - from) while (Number.isNaN(column.values.at(first))) first += 1;
    series.x.push(axis.at(column.rows.at(first)));
    series.min.push(min);
    series.max.push(max);
    series.mean.push(meanOf(min, max, sum / count));
    series.count.push(count);
  }
  return series;
}

/** A sum of huge values overflows, and a division rounds: the mean lies between the extremes all the same. */
function meanOf(min: number, max: number, mean: number): number {
  return Number.isFinite(mean) ? Math.min(max, Math.max(min, mean)) : min / 2 + max / 2;
}

/** The place of an update on every axis; of one that the metrics lack, that of the last one before it. */
function positionOf(store: SeriesStore, update: number): SeriesAnswer['positions'] {
  if (update > store.updates) return [];
  const { updates, generatorUpdates, samples, wallSeconds } = store.axes;
  const row = firstAbove(updates, update) - 1;
  if (row < 0) return [{ update, generatorUpdates: 0, samples: 0, wallSeconds: 0 }];
  return [{ update, generatorUpdates: generatorUpdates.at(row), samples: samples.at(row), wallSeconds: wallSeconds.at(row) }];
}

function emptySeries(name: string): BucketedSeries {
  return { name, x: [], min: [], max: [], mean: [], count: [], nonFinite: 0 };
}
