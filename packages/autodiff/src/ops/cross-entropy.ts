import type { Tensor } from '../tensor.js';
import { dimensionAt } from '../tensor.js';
import { mul, sub } from './arithmetic.js';
import { exp, log } from './elementwise.js';
import { oneHot } from './indexing.js';
import { reduceMax, reduceSum } from './reduction.js';
import { stopGradient } from './stop-gradient.js';

/** -log softmax(logits)[target] in nats: logits [..., V], int64 targets [...] -> [...]. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const classes = dimensionAt(logits.shape, logits.rank - 1);
  // log sum exp(x) = m + log sum exp(x - m) for any m; the maximum keeps exp from overflowing
  const shift = stopGradient(reduceMax(logits, [-1], true));
  const sum = log(reduceSum(exp(sub(logits, shift)), [-1]));
  const chosen = reduceSum(mul(sub(logits, shift), oneHot(targets, classes, logits.dtype)), [-1]);
  return sub(sum, chosen);
}
