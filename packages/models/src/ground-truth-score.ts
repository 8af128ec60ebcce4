import { div, logSoftmax, reduceMean, square, stopGradient, sub, type Tensor } from '@dd2/autodiff';
import { contexts, velocity } from './ar-diffusion.js';
import type { Codebook } from './codebook.js';
import type { ModelConfig } from './model-config.js';
import { noisy, perDraw } from './noise-path.js';
import type { Parameters } from './parameters.js';
import { teacherLogits } from './teacher.js';

/** What noising draws: times t [B, K, n, 1] and noise [B, K, n, d]. */
export interface Diffusion {
  readonly times: Tensor;
  readonly noise: Tensor;
}

/** Token sequences x [B, n, d] of classes int64 [B], and K noisy versions xt [B, K, n, d] of every token, at times [B, K, n, 1]. */
export interface NoisySequences {
  readonly classes: Tensor;
  readonly x: Tensor;
  readonly times: Tensor;
  readonly xt: Tensor;
}

/** Data: `tokens` int64 [B, n] of `classes` int64 [B] as constants. */
export function noisySequences(codebook: Codebook, data: { classes: Tensor; tokens: Tensor }, { times, noise }: Diffusion): NoisySequences {
  const x = stopGradient(codebook.lookUp(data.tokens));
  return { classes: data.classes, x, times, xt: noisy(x, times, noise) };
}

/** The teacher score query on data: f_teacher(x_t, t | q_<i), [B, K, n, d]. */
export function teacherPosteriorMean(teacher: Parameters, codebook: Codebook, model: ModelConfig, { classes, x, times, xt }: NoisySequences): Tensor {
  return codebook.posteriorMean(xt, times, perDraw(logSoftmax(teacherLogits(teacher, model, classes, x), -1)));
}

/**
 * GTS, ground-truth score (DD2, arXiv 2510.21003, phase tune): regress the teacher's velocity on noisy tokens,
 * L = mean |v_net(x_t, t | q_<i) - (x_t - f_teacher(x_t, t)) / t|^2.
 */
export function groundTruthScoreLoss(student: Parameters, model: ModelConfig, { classes, x, times, xt }: NoisySequences, fromTeacher: Tensor): Tensor {
  const target = div(sub(xt, fromTeacher), times);
  const predicted = velocity(student, model, xt, times, contexts(student, model, classes, x));
  return reduceMean(square(sub(predicted, stopGradient(target))));
}
