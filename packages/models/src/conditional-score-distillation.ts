import { abs, add, div, logSoftmax, maximum, mul, reduceMean, reduceSum, square, stopGradient, sub, type Tensor } from '@dd2/autodiff';
import { contexts, posteriorMean } from './ar-diffusion.js';
import type { Codebook } from './codebook.js';
import type { Diffusion } from './ground-truth-score.js';
import type { ModelConfig } from './model-config.js';
import { noisy, perDraw } from './noise-path.js';
import type { Parameters } from './parameters.js';

export type Contexts = 'snapped' | 'continuous';
export type Weight = 'uniform' | 'inverse-time' | 'token-normalised';

export interface DistillationObjective {
  readonly form: 'sid' | 'dmd';
  /** weight of the explicit difference in the SiD form */
  readonly alpha: number;
  readonly weight: Weight;
  /** what conditions teacher and guidance network: the generated tokens or their nearest codes */
  readonly contexts: Contexts;
}

/** What conditions teacher and guidance network, one vector a token [B, n, d], for generated x [B, n, d]; without gradient. */
export function contextOf(x: Tensor, codebook: Codebook, kind: Contexts): Tensor {
  const detached = stopGradient(x);
  return kind === 'snapped' ? codebook.snap(detached) : detached;
}

/** A sample x [B, n, d] of classes int64 [B], with its context [B, n, d] and the teacher's logits [B, n, V] there. */
export interface ConditionedSample {
  readonly classes: Tensor;
  readonly x: Tensor;
  readonly context: Tensor;
  readonly logits: Tensor;
}

/**
 * CSD, conditional score distillation (DD2, arXiv 2510.21003). With f_T and f_G the posterior means of teacher and guidance network at
 * noisy versions x_t of the generator's sample x [B, n, d], and a weight w without gradient:
 * - DMD: the gradient with respect to x is w (f_G - f_T);
 * - SiD (arXiv 2404.04057): w [(1 - alpha) |f_T - f_G|^2 + (f_T - f_G) . (f_G - x)], differentiated through x_t into both means.
 * The contexts carry no gradient. `gap` is the mean of |f_T - f_G|^2.
 */
export function conditionalScoreDistillationLoss(
  networks: { guidance: Parameters; codebook: Codebook },
  model: ModelConfig,
  sample: ConditionedSample,
  { times, noise }: Diffusion,
  objective: Omit<DistillationObjective, 'contexts'>,
): { loss: Tensor; gap: Tensor } {
  const { guidance, codebook } = networks;
  const logPrior = perDraw(logSoftmax(stopGradient(sample.logits), -1));
  const h = contexts(guidance, model, sample.classes, sample.context);

  // The DMD form treats both means as constants: with x_t detached nothing is differentiated through them.
  const x = perDraw(sample.x);
  const xt = noisy(objective.form === 'dmd' ? stopGradient(sample.x) : sample.x, times, noise);
  const fromTeacher = codebook.posteriorMean(xt, times, logPrior);
  const fromGuidance = posteriorMean(guidance, model, xt, times, h);
  const difference = sub(fromTeacher, fromGuidance);
  const weight = stopGradient(weightOf(objective.weight, x, fromTeacher, times));
  const summand =
    objective.form === 'dmd'
      ? mul(stopGradient(mul(weight, sub(fromGuidance, fromTeacher))), x)
      : mul(weight, sidTerm(difference, sub(fromGuidance, x), objective.alpha));
  return { loss: reduceMean(reduceSum(summand, [-1])), gap: reduceMean(square(difference)) };
}

/** (1 - alpha) difference^2 + difference * residual, per dimension. */
function sidTerm(difference: Tensor, residual: Tensor, alpha: number): Tensor {
  return mul(difference, alpha === 1 ? residual : add(mul(difference, 1 - alpha), residual));
}

/** A factor per draw and token, [B, K, n, 1]. */
function weightOf(kind: Weight, x: Tensor, fromTeacher: Tensor, times: Tensor): Tensor {
  switch (kind) {
    case 'uniform':
      return times.graph.scalar(1);
    case 'inverse-time':
      return div(1, maximum(times, 0.1));
    case 'token-normalised':
      return div(1, maximum(reduceMean(abs(sub(x, fromTeacher)), [-1], true), 0.1));
  }
}
