import { div, mul, sub, type Tensor } from '@dd2/autodiff';

/** x modulo a positive integer, for non-negative int64 x: integer division truncates. */
export function remainder(x: Tensor, modulus: number): Tensor {
  const divisor = x.graph.scalar(modulus, 'int64');
  return sub(x, mul(div(x, divisor), divisor));
}
