import { dataOf } from '../graph.js';
import { operations } from '../operation.js';
import type { Tensor } from '../tensor.js';
import { dimensionAt, range, sameShape } from '../tensor.js';
import { mul, sub } from './arithmetic.js';
import { apply, axisOf, onlyOutput, sameFloatType } from './apply.js';
import { exp, log } from './elementwise.js';
import { reduceMax, reduceMean, reduceSum } from './reduction.js';
import { stopGradient } from './stop-gradient.js';

export const normalization = operations({
  Softmax: {
    infer: sameFloatType,
    // dx = y (dy - sum(dy y))
    gradient: (view) => [
      () => {
        const y = view.output;
        const weighted = mul(view.broadcastDy, y);
        return sub(weighted, mul(y, reduceSum(weighted, [view.int('axis')], true)));
      },
    ],
  },
  LogSoftmax: {
    infer: sameFloatType,
    // dx = dy - softmax(x) sum(dy)
    gradient: (view) => [() => sub(view.dy, mul(exp(view.output), reduceSum(view.dy, [view.int('axis')], true)))],
  },
  // Outputs: y, and the mean and the inverse standard deviation [..., 1] that the gradient reads.
  LayerNormalization: {
    infer: (view) => {
      const [x, scale, bias] = [view.input(0), view.input(1), view.inputs[2]];
      sameFloatType(view);
      const row = [dimensionAt(x.shape, x.rank - 1)];
      if (!sameShape(scale.shape, row) || (bias !== undefined && !sameShape(bias.shape, row))) {
        view.fail(`scale and bias must have shape [${row.join(',')}]`);
      }
      const statistics = { dtype: x.dtype, shape: x.shape.with(x.rank - 1, 1) };
      return [x, statistics, statistics];
    },
    // With z the normalised x, g = dy scale and s the inverse deviation: dx = s (g - mean(g) - z mean(g z))
    gradient: (view) => {
      const [x, scale] = [view.input(0), view.input(1)];
      const [, mean = view.fail('has no mean'), inverse = view.fail('has no deviation')] = view.outputs;
      if (view.reached(1) || view.reached(2)) view.unsupported('no gradient rule for its mean and deviation, so no second derivative');
      const leading = range(x.rank - 1);
      const normalised = (): Tensor => mul(sub(x, mean), inverse);
      return [
        () => {
          const [z, g] = [normalised(), isOnes(scale) ? view.dy : mul(view.dy, scale)];
          const centred = sub(sub(g, reduceMean(g, [-1], true)), mul(z, reduceMean(mul(g, z), [-1], true)));
          return mul(centred, inverse);
        },
        () => reduceSum(mul(view.dy, normalised()), leading),
        () => reduceSum(view.dy, leading),
      ];
    },
  },
});

function isOnes(x: Tensor): boolean {
  const data = x.constantData;
  return data !== undefined && Array.from(data as ArrayLike<number>).every((value) => value === 1);
}

/** exp(x) / sum(exp(x)) along `axis`. */
export function softmax(x: Tensor, axis = -1): Tensor {
  return apply(normalization.Softmax, [x], { axis: { int: axisOf(x, axis, 'Softmax') } });
}

/**
 * log(softmax(x)) along `axis`. Decomposed by default because the WebGPU provider has no LogSoftmax;
 * `fused` emits the one ONNX node. The maximum is a shift that cancels, so no gradient flows through it.
 */
export function logSoftmax(x: Tensor, axis = -1, { fused = false }: { fused?: boolean } = {}): Tensor {
  const at = axisOf(x, axis, 'LogSoftmax');
  if (fused) return apply(normalization.LogSoftmax, [x], { axis: { int: at } });
  const shifted = sub(x, stopGradient(reduceMax(x, [at], true)));
  return sub(shifted, log(reduceSum(exp(shifted), [at], true)));
}

/** Normalises the last dimension to mean 0 and variance 1 (+ eps), then applies scale and bias [D] where given. */
export function layerNorm(x: Tensor, scale: Tensor | undefined, bias: Tensor | undefined, eps = 1e-5): Tensor {
  const width = dimensionAt(x.shape, x.rank - 1);
  const ones = (): Tensor => x.graph.constant(dataOf(x.dtype, new Array<number>(width).fill(1)), [width]);
  const inputs = bias === undefined ? [x, scale ?? ones()] : [x, scale ?? ones(), bias];
  return onlyOutput(x.graph.apply(normalization.LayerNormalization, inputs, { axis: { int: -1 }, epsilon: { float: eps } }));
}
