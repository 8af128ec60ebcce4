import { conv2d, convTranspose2d, layerNorm, linear, type Tensor } from '@dd2/autodiff';
import type { Parameters } from './parameters.js';

/** x [..., in] -> [..., out] by `<p>.weight` [out, in] and `<p>.bias` [out]. */
export function linearLayer(p: Parameters, x: Tensor): Tensor {
  return linear(x, p.tensor('weight'), p.tensor('bias'));
}

/** Layer normalisation over the last dimension with learned scale and offset. */
export function normLayer(p: Parameters, x: Tensor): Tensor {
  return layerNorm(x, p.tensor('weight'), p.tensor('bias'));
}

/** x [B, in, h, w] -> [B, out, h', w']. */
export function convolutionLayer(p: Parameters, x: Tensor, options: { stride: number; padding: number }): Tensor {
  return conv2d(x, p.tensor('weight'), p.tensor('bias'), options);
}

/** x [B, in, h, w] -> [B, out, h', w'] by `<p>.weight` [in, out, k, k]. */
export function transposedConvolutionLayer(p: Parameters, x: Tensor, options: { stride: number; padding: number }): Tensor {
  return convTranspose2d(x, p.tensor('weight'), p.tensor('bias'), options);
}
