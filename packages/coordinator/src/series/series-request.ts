import { Dd2Error } from '@dd2/core';
import { SeriesAxis, type GetRunSeriesRequest } from '@dd2/proto';
import type { SeriesAxisName } from './series-store.js';

export const MOST_NAMES = 64;
export const MOST_BUCKETS = 4_000;
export const MOST_POSITIONS = 4_096;
const DEFAULT_BUCKETS = 500;
const LONGEST_NAME = 200;

/** What is asked of the series of a run: checked, with every default filled in. */
export interface SeriesQuery {
  readonly names: readonly string[];
  readonly axis: SeriesAxisName;
  /** inclusive, in units of the axis; the whole run unless told */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly buckets: number;
  readonly positions: readonly number[];
  readonly logarithmic: boolean;
}

const axes: Readonly<Record<SeriesAxis, SeriesAxisName>> = {
  [SeriesAxis.UNSPECIFIED]: 'updates',
  [SeriesAxis.UPDATES]: 'updates',
  [SeriesAxis.GENERATOR_UPDATES]: 'generatorUpdates',
  [SeriesAxis.SAMPLES]: 'samples',
  [SeriesAxis.WALL_TIME]: 'wallSeconds',
};

/** @throws {Dd2Error} INVALID_ARGUMENT naming the field */
export function parseSeriesRequest(request: Omit<GetRunSeriesRequest, '$typeName' | '$unknown' | 'runId'>): SeriesQuery {
  const { names, axis, from, to, buckets, positions, logarithmic } = request;
  if (names.length > MOST_NAMES) throw tooMany('names', `${names.length} series were asked for`, MOST_NAMES);
  const long = names.find((name) => name.length > LONGEST_NAME);
  if (long !== undefined) throw new Dd2Error('INVALID_ARGUMENT', `a name of ${long.length} characters is no series`, { field: 'names', remedy: 'Ask without names to see which there are' });
  if (buckets > MOST_BUCKETS) throw tooMany('buckets', `${buckets} buckets were asked for`, MOST_BUCKETS);
  if (positions.length > MOST_POSITIONS) throw tooMany('positions', `${positions.length} positions were asked for`, MOST_POSITIONS);
  const name = (axes as Readonly<Record<number, SeriesAxisName | undefined>>)[axis];
  if (name === undefined) throw new Dd2Error('INVALID_ARGUMENT', `there is no axis ${axis}`, { field: 'axis', remedy: 'Use updates, generator updates, samples or wall time' });
  for (const [field, value] of [['from', from], ['to', to]] as const) {
    if (value !== undefined && !Number.isFinite(value)) throw new Dd2Error('INVALID_ARGUMENT', `${value} is no place on an axis`, { field, remedy: 'Give a finite number, or leave the field out' });
  }
  if (from !== undefined && to !== undefined && from > to) throw new Dd2Error('INVALID_ARGUMENT', `the range begins at ${from} and ends at ${to}`, { field: 'from', remedy: 'Let it begin before it ends' });
  return { names, axis: name, from, to, buckets: buckets === 0 ? DEFAULT_BUCKETS : buckets, positions, logarithmic };
}

function tooMany(field: string, problem: string, most: number): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', problem, { field, remedy: `Ask for at most ${most}` });
}
