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

/**
 * GTS, ground-truth score (DD2, arXiv 2510.21003, phase tune): regress the teacher's velocity on noisy tokens,
 * L = mean |v_net(x_t, t | q_<i) - (x_t - f_teacher(x_t, t)) / t|^2, on `tokens` int64 [B, n] of `classes` int64 [B].
 */
export function groundTruthScoreLoss(
  networks: { student: Parameters; teacher: Parameters; codebook: Codebook },
  model: ModelConfig,
  data: { classes: Tensor; tokens: Tensor },
  { times, noise }: Diffusion,
): Tensor {
  const { student, teacher, codebook } = networks;
  const x = stopGradient(codebook.lookUp(data.tokens));
  const logPrior = logSoftmax(teacherLogits(teacher, model, data.classes, x), -1);
  const xt = noisy(x, times, noise);
  const target = div(sub(xt, codebook.posteriorMean(xt, times, perDraw(logPrior))), times);
  const predicted = velocity(student, model, xt, times, contexts(student, model, data.classes, x));
  return reduceMean(square(sub(predicted, stopGradient(target))));
}
