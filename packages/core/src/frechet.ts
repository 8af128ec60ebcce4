import { EigenvalueDecomposition, Matrix, SingularValueDecomposition } from 'ml-matrix';
import { Dd2Error } from './errors.js';
import type { Gaussian } from './sufficient-statistics.js';

/**
 * The squared Frechet (2-Wasserstein) distance of two normal distributions; of feature statistics it is the FID
 * (Heusel et al., arXiv 1706.08500, equation 6): `|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2`.
 *
 * The last trace is the sum of the singular values of `R1^T R2` for any square roots `S = R R^T`, so no eigenvalue has
 * its square root taken twice: with fewer samples than dimensions the null space adds rounding of the order of 1e-16
 * and not of its square root.
 *
 * @throws {Dd2Error} INVALID_ARGUMENT when the dimensions differ, NON_FINITE when a statistic is not finite
 */
export function frechetDistance(a: Gaussian, b: Gaussian): number {
  return frechetDistanceTo(b)(a);
}

/**
 * The distance to one distribution, for several others: what depends on `b` alone is computed once. Same bits as `frechetDistance`.
 * @throws as `frechetDistance` does, some of it only when the function that it returns is called
 */
export function frechetDistanceTo(b: Gaussian): (a: Gaussian) => number {
  let known: { readonly root: Matrix; readonly trace: number } | undefined;
  return (a) => {
    const d = a.mean.length;
    if (b.mean.length !== d || a.covariance.length !== d * d || b.covariance.length !== d * d) {
      throw new Dd2Error('INVALID_ARGUMENT', `distributions of ${d} and ${b.mean.length} dimensions cannot be compared`, {
        remedy: 'Compute both with the same feature network',
      });
    }
    for (const values of known ? [a.mean, a.covariance] : [a.mean, a.covariance, b.mean, b.covariance]) {
      if (!values.every(Number.isFinite)) throw new Dd2Error('NON_FINITE', 'the feature statistics contain values that are not finite');
    }
    known ??= { root: factor(b.covariance, d), trace: trace(b.covariance, d) };
    const distance = a.mean.reduce((sum, m, i) => sum + (m - (b.mean[i] ?? 0)) ** 2, 0);
    const rootA = factor(a.covariance, d);
    if (rootA.columns === 0 || known.root.columns === 0) return distance + trace(a.covariance, d) + known.trace;
    const cross = rootA.transpose().mmul(known.root);
    const { diagonal } = new SingularValueDecomposition(cross, { computeLeftSingularVectors: false, computeRightSingularVectors: false, autoTranspose: true });
    const overlap = diagonal.reduce((sum, value) => sum + value, 0);
    return Math.max(0, distance + trace(a.covariance, d) + known.trace - 2 * overlap);
  };
}

/** R [d, rank] with R R^T = the covariance; eigenvalues that are rounding (of either sign) are left out. */
function factor(covariance: Float64Array, d: number): Matrix {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(Matrix.from1DArray(d, d, covariance), { assumeSymmetric: true });
  const threshold = Math.max(0, ...realEigenvalues) * d * Number.EPSILON;
  const kept = realEigenvalues.flatMap((value, index) => (value > threshold ? [{ value, index }] : []));
  const root = Matrix.zeros(d, kept.length);
  kept.forEach(({ value, index }, column) => {
    for (let row = 0; row < d; row++) root.set(row, column, eigenvectorMatrix.get(row, index) * Math.sqrt(value));
  });
  return root;
}

function trace(matrix: Float64Array, d: number): number {
  let sum = 0;
  for (let i = 0; i < d; i++) sum += matrix[i * d + i] ?? 0;
  return sum;
}
