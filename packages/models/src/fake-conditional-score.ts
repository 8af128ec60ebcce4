import { reduceMean, square, stopGradient, sub, type Tensor } from '@dd2/autodiff';
import { contexts, velocity } from './ar-diffusion.js';
import type { Codebook } from './codebook.js';
import type { Diffusion } from './ground-truth-score.js';
import type { ModelConfig } from './model-config.js';
import { noisy, perDraw } from './noise-path.js';
import type { Parameters } from './parameters.js';

/**
 * FCS, fake conditional score (DD2, arXiv 2510.21003): denoising score matching of the guidance network on the generator's samples
 * x [B, n, d], L = mean |v_guid(x_t, t | x_<i) - (eps - x_i)|^2. With a `codebook` the contexts x_<i are snapped to the nearest codes.
 */
export function fakeConditionalScoreLoss(
  guidance: Parameters,
  model: ModelConfig,
  sample: { classes: Tensor; x: Tensor },
  { times, noise }: Diffusion,
  codebook: Codebook | undefined,
): Tensor {
  const x = stopGradient(sample.x);
  const h = contexts(guidance, model, sample.classes, codebook ? codebook.snap(x) : x);
  const predicted = velocity(guidance, model, noisy(x, times, noise), times, h);
  return reduceMean(square(sub(predicted, sub(noise, perDraw(x)))));
}
