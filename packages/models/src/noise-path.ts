import { add, mul, reshape, sub, type Tensor } from '@dd2/autodiff';
import type { TimeRange } from '@dd2/core';

/**
 * Times [B, K, n, 1] from uniform draws u of that shape: lo + (hi - lo) u, or, stratified over the K draws of a position,
 * lo + (hi - lo) (k + u) / K.
 */
export function timesFrom(u: Tensor, range: TimeRange): Tensor {
  const draws = u.shape[1] ?? 1;
  const span = range.max - range.min;
  if (!range.stratified || draws === 1) return add(mul(u, span), range.min);
  const starts = Float32Array.from({ length: draws }, (_, k) => range.min + (span * k) / draws);
  return add(mul(u, span / draws), u.graph.constant(starts, [1, draws, 1, 1]));
}

/** K noisy versions of every token: x_t = (1 - t) x + t eps, x [B, n, d], t [B, K, n, 1], eps [B, K, n, d]. */
export function noisy(x: Tensor, t: Tensor, noise: Tensor): Tensor {
  return add(mul(sub(1, t), perDraw(x)), mul(t, noise));
}

/** [B, n, ...] -> [B, 1, n, ...]: shared by the draws of a position. */
export function perDraw(x: Tensor): Tensor {
  const [batch, ...rest] = x.shape;
  return reshape(x, [batch ?? 1, 1, ...rest]);
}
