import { firstAbove, type FloatList } from './float-list.js';

export interface GridOptions {
  /** at most so many buckets */
  readonly buckets: number;
  readonly logarithmic: boolean;
}

/** Widths of buckets are one of these times a power of two. */
const STEPS = [1, 1.25, 1.5, 1.75, 2] as const;

/**
 * Cuts the rows [from, to) into at most so many neighbouring buckets of equal width on an axis, which is what a chart draws. Bucket k
 * has the places in (k w, (k + 1) w]: the grid begins at 0 whatever the range is, and its width w is one of few, so that the
 * buckets stay what they are while a run grows or a zoom moves. What lies at 0 or below is a bucket of its own, and on a
 * logarithmic axis it is the logarithm of the place that counts.
 * @param axis ascending places of the rows
 * @returns the first row of each bucket, then `to`
 */
export function bucketRows(axis: FloatList, from: number, to: number, { buckets, logarithmic }: GridOptions): number[] {
  if (from >= to) return [to];
  const starts: number[] = [];
  const positive = firstAbove(axis, 0, from, to);
  let row = from;
  if (buckets > 1 && positive > from) {
    starts.push(from);
    row = positive;
  }
  const scale = logarithmic ? Math.log2 : identity;
  const place = (at: number): number => scale(Math.max(axis.at(at), Number.MIN_VALUE));
  const width = row < to ? bucketWidth(place(to - 1) - place(row), buckets - starts.length) : Infinity;
  while (row < to && starts.length < buckets) {
    starts.push(row);
    if (width === Infinity) break;
    const bucket = Math.ceil(place(row) / width);
    const edge = (logarithmic ? bucket : Math.max(1, bucket)) * width; // the smallest of numbers may have been rounded to 0
    row = Math.max(row + 1, firstAbove(axis, logarithmic ? 2 ** edge : edge, row + 1, to));
  }
  return [...starts, to];
}

/** The smallest width with which a grid, wherever it begins, cuts the span into at most so many buckets; Infinity for one. */
export function bucketWidth(span: number, buckets: number): number {
  if (buckets <= 1 || span <= 0) return Infinity;
  // A span covers its width's number of buckets and one more; a little room for rounding at the edges.
  const least = (span / (buckets - 1)) * (1 + 1e-9);
  const power = 2 ** Math.floor(Math.log2(least));
  return power * (STEPS.find((step) => power * step >= least) ?? 2);
}

const identity = (value: number): number => value;
