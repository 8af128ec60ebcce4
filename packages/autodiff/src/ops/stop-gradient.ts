import type { Operation } from '../operation.js';
import type { Tensor } from '../tensor.js';
import { onlyOutput } from './apply.js';

/** The identity, through which no gradient flows. It never reaches the ONNX model. */
export const StopGradient: Operation = {
  type: 'Identity',
  infer: (view) => [view.input(0)],
  gradient: 'zero',
};

/** `x` as a constant to differentiation. */
export function stopGradient(x: Tensor): Tensor {
  return onlyOutput(x.graph.apply(StopGradient, [x]));
}
