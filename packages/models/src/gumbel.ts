import { add, argMax, log, neg, type Tensor } from '@dd2/autodiff';

/** Draws categories [...] from logits [..., V] with uniform draws of that shape: argmax_j (logit_j - log(-log u_j)). */
export function sampleCategories(logits: Tensor, uniform: Tensor): Tensor {
  return argMax(add(logits, neg(log(neg(log(uniform))))), -1);
}
