import { Dd2Error } from './errors.js';

/**
 * What a Gaussian fit needs to know of a set of feature vectors. It adds up over any partition of the set, so workers
 * may each contribute a part. In float64: the covariance is a difference of large sums.
 */
export interface SufficientStatistics {
  readonly count: number;
  /** [d] */
  readonly sum: Float64Array;
  /** [d * d], row-major: the uncentred sum of x x^T */
  readonly outer: Float64Array;
}

/** A multivariate normal distribution: mean [d], covariance [d * d] row-major. */
export interface Gaussian {
  readonly mean: Float64Array;
  readonly covariance: Float64Array;
}

/** The statistics of no samples in `dimension` dimensions. */
export function emptyStatistics(dimension: number): SufficientStatistics {
  return { count: 0, sum: new Float64Array(dimension), outer: new Float64Array(dimension * dimension) };
}

/** The statistics of both sets together; neither argument changes. @throws {Dd2Error} INVALID_ARGUMENT when dimensions differ */
export function mergeStatistics(a: SufficientStatistics, b: SufficientStatistics): SufficientStatistics {
  if (a.sum.length !== b.sum.length || a.outer.length !== b.outer.length) {
    throw new Dd2Error('INVALID_ARGUMENT', `statistics of ${a.sum.length} and ${b.sum.length} dimensions cannot be merged`, {
      remedy: 'Compute both with the same feature network',
    });
  }
  return { count: a.count + b.count, sum: add(a.sum, b.sum), outer: add(a.outer, b.outer) };
}

/** The statistics of a set without a part of it; neither argument changes. Exact but for rounding: differences of large sums. */
export function withoutStatistics(whole: SufficientStatistics, part: SufficientStatistics): SufficientStatistics {
  return { count: whole.count - part.count, sum: subtract(whole.sum, part.sum), outer: subtract(whole.outer, part.outer) };
}

/** Mean and unbiased covariance (divided by n - 1). @throws {Dd2Error} INVALID_ARGUMENT for fewer than two samples */
export function meanAndCovariance(statistics: SufficientStatistics): Gaussian {
  const { count, sum, outer } = statistics;
  const d = sum.length;
  if (count < 2 || outer.length !== d * d) {
    throw new Dd2Error('INVALID_ARGUMENT', `a covariance needs two samples and ${d} x ${d} products, got ${count} samples and ${outer.length} products`, {
      remedy: 'Evaluate more samples',
    });
  }
  const mean = sum.map((s) => s / count);
  const covariance = outer.map((product, index) => {
    const row = Math.floor(index / d);
    return (product - (sum[row] ?? 0) * (mean[index - row * d] ?? 0)) / (count - 1);
  });
  return { mean, covariance };
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, index) => value + (b[index] ?? 0));
}

function subtract(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, index) => value - (b[index] ?? 0));
}
