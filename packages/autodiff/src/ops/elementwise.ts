import { onnxDataType } from '../onnx-model.js';
import { operations } from '../operation.js';
import type { DType, Tensor } from '../tensor.js';
import { isFloat } from '../tensor.js';
import { add, arithmetic, div, equal, masked, mul, neg, sub } from './arithmetic.js';
import { apply, sameFloatType, sameType } from './apply.js';

const dtypes: readonly DType[] = ['float32', 'float64', 'int32', 'int64', 'uint8', 'bool'];

export const elementwise = operations({
  Exp: { infer: sameFloatType, gradient: (view) => [() => mul(view.broadcastDy, view.output)] },
  Log: { infer: sameFloatType, gradient: (view) => [() => div(view.broadcastDy, view.input(0))] },
  Sqrt: { infer: sameFloatType, gradient: (view) => [() => div(mul(view.broadcastDy, 0.5), view.output)] },
  Abs: { infer: sameType, gradient: (view) => [() => mul(view.broadcastDy, apply(arithmetic.Sign, [view.input(0)]))] },
  Pow: {
    infer: (view) => {
      if (view.input(1).scalarValue === undefined) view.fail('the exponent must be a scalar constant');
      return sameFloatType(view);
    },
    gradient: (view) => {
      const exponent = view.input(1).scalarValue ?? view.fail('the exponent must be a scalar constant');
      return [() => mul(view.broadcastDy, mul(pow(view.input(0), exponent - 1), exponent))];
    },
  },
  Tanh: { infer: sameFloatType, gradient: (view) => [() => mul(view.broadcastDy, sub(1, square(view.output)))] },
  Sigmoid: {
    infer: sameFloatType,
    gradient: (view) => [() => mul(view.broadcastDy, mul(view.output, sub(1, view.output)))],
  },
  Relu: {
    infer: sameType,
    // the output is never negative, so it is positive exactly where it is true as a bool
    gradient: (view) => [() => masked(view.broadcastDy, cast(view.output, 'bool'))],
  },
  Erf: {
    infer: sameFloatType,
    // d erf(x) / dx = 2 / sqrt(pi) * exp(-x^2)
    gradient: (view) => [() => mul(view.broadcastDy, mul(exp(neg(square(view.input(0)))), 2 / Math.sqrt(Math.PI)))],
  },
  Cos: { infer: sameFloatType, gradient: (view) => [() => neg(mul(view.broadcastDy, sin(view.input(0))))] },
  Sin: { infer: sameFloatType, gradient: (view) => [() => mul(view.broadcastDy, cos(view.input(0)))] },
  Softplus: { infer: sameFloatType, gradient: (view) => [() => mul(view.broadcastDy, sigmoid(view.input(0)))] },
  Clip: {
    infer: sameType,
    // inside the bounds, and only there, the output equals the input
    gradient: (view) => [() => masked(view.broadcastDy, equal(view.output, view.input(0)))],
  },
  Cast: {
    infer: (view) => {
      const dtype = dtypes.find((candidate) => onnxDataType(candidate) === view.int('to'));
      return [{ dtype: dtype ?? view.fail('unknown dtype'), shape: view.input(0).shape }];
    },
    gradient: (view) => {
      const [from, to] = [view.input(0).dtype, view.output.dtype];
      return isFloat(from) && isFloat(to) ? [() => cast(view.broadcastDy, from)] : [undefined];
    },
  },
});

export function exp(x: Tensor): Tensor {
  return apply(elementwise.Exp, [x]);
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return apply(elementwise.Log, [x]);
}

export function sqrt(x: Tensor): Tensor {
  return apply(elementwise.Sqrt, [x]);
}

/** |x|; its gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  return apply(elementwise.Abs, [x]);
}

/** x to a constant power. */
export function pow(x: Tensor, exponent: number): Tensor {
  if (exponent === 0) return add(mul(x, 0), 1);
  if (exponent === 1) return x;
  if (exponent === 2) return square(x);
  if (exponent === -1) return div(1, x);
  if (exponent === 0.5) return sqrt(x);
  return apply(elementwise.Pow, [x, x.graph.scalar(exponent, x.dtype)]);
}

export function square(x: Tensor): Tensor {
  return mul(x, x);
}

export function tanh(x: Tensor): Tensor {
  return apply(elementwise.Tanh, [x]);
}

export function sigmoid(x: Tensor): Tensor {
  return apply(elementwise.Sigmoid, [x]);
}

/** max(x, 0); its gradient at 0 is 0. */
export function relu(x: Tensor): Tensor {
  return apply(elementwise.Relu, [x]);
}

/** Gauss error function. */
export function erf(x: Tensor): Tensor {
  return apply(elementwise.Erf, [x]);
}

export function cos(x: Tensor): Tensor {
  return apply(elementwise.Cos, [x]);
}

export function sin(x: Tensor): Tensor {
  return apply(elementwise.Sin, [x]);
}

/** log(1 + exp(x)) without overflow. */
export function softplus(x: Tensor): Tensor {
  return apply(elementwise.Softplus, [x]);
}

/** x * sigmoid(x) */
export function silu(x: Tensor): Tensor {
  return mul(x, sigmoid(x));
}

/** x * Phi(x) with the normal distribution function Phi (the exact form, not the tanh approximation). */
export function gelu(x: Tensor): Tensor {
  return mul(mul(x, add(erf(mul(x, Math.SQRT1_2)), 1)), 0.5);
}

/** x limited to [low, high]; the gradient passes where low <= x <= high. */
export function clip(x: Tensor, low: number, high: number): Tensor {
  return apply(elementwise.Clip, [x, x.graph.scalar(low, x.dtype), x.graph.scalar(high, x.dtype)]);
}

/** Converts the dtype; float to integer truncates. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : apply(elementwise.Cast, [x], { to: { int: onnxDataType(dtype) } });
}
