import type { GradientView } from '../operation.js';
import { operations } from '../operation.js';
import type { Tensor } from '../tensor.js';
import { broadcastShapes } from '../tensor.js';
import type { Operand } from './apply.js';
import { apply, applyBinary, broadcastType, comparisonType, sameType, toTensors } from './apply.js';
import { cast } from './elementwise.js';

/** Half the gradient goes to each side of a tie, as in PyTorch: `sign` is +1 where `a` is the chosen side. */
function chooseGradients(view: GradientView, sign: 1 | -1): readonly [() => Tensor, () => Tensor] {
  const difference = (): Tensor => apply(arithmetic.Sign, [sub(view.input(0), view.input(1))]);
  const share = (side: number): Tensor => add(mul(difference(), 0.5 * side), 0.5);
  return [
    () => view.sumToInput(mul(view.broadcastDy, share(sign)), 0),
    () => view.sumToInput(mul(view.broadcastDy, share(-sign)), 1),
  ];
}

export const arithmetic = operations({
  Add: {
    infer: broadcastType,
    gradient: (view) => [() => view.sumToInput(view.broadcastDy, 0), () => view.sumToInput(view.broadcastDy, 1)],
  },
  Sub: {
    infer: broadcastType,
    gradient: (view) => [() => view.sumToInput(view.broadcastDy, 0), () => neg(view.sumToInput(view.broadcastDy, 1))],
  },
  Mul: {
    infer: broadcastType,
    gradient: (view) => [
      () => view.sumToInput(mul(view.broadcastDy, view.input(1)), 0),
      () => view.sumToInput(mul(view.broadcastDy, view.input(0)), 1),
    ],
  },
  Div: {
    infer: broadcastType,
    gradient: (view) => [
      () => view.sumToInput(div(view.broadcastDy, view.input(1)), 0),
      () => neg(view.sumToInput(mul(view.broadcastDy, div(view.output, view.input(1))), 1)),
    ],
  },
  Max: { infer: broadcastType, gradient: (view) => chooseGradients(view, 1) },
  Min: { infer: broadcastType, gradient: (view) => chooseGradients(view, -1) },
  Neg: { infer: sameType, gradient: (view) => [() => neg(view.broadcastDy)] },
  Sign: { infer: sameType, gradient: 'zero' },
  Where: {
    infer: (view) => {
      const [condition, a, b] = [view.input(0), view.input(1), view.input(2)];
      if (condition.dtype !== 'bool') view.fail('the condition must be bool');
      if (a.dtype !== b.dtype) view.fail('dtypes differ', 'Cast one of them.');
      const values = broadcastShapes(a.shape, b.shape) ?? view.fail('shapes do not broadcast');
      const shape = broadcastShapes(condition.shape, values) ?? view.fail('shapes do not broadcast');
      return [{ dtype: a.dtype, shape }];
    },
    gradient: (view) => [
      undefined,
      () => view.sumToInput(masked(view.broadcastDy, view.input(0)), 1),
      () => view.sumToInput(masked(view.broadcastDy, not(view.input(0))), 2),
    ],
  },
  Less: { infer: comparisonType, gradient: 'zero' },
  LessOrEqual: { infer: comparisonType, gradient: 'zero' },
  Greater: { infer: comparisonType, gradient: 'zero' },
  Equal: { infer: comparisonType, gradient: 'zero' },
  And: { infer: comparisonType, gradient: 'zero' },
  Not: { infer: sameType, gradient: 'zero' },
});

/** `x` where the bool `mask` holds, else 0. Measured: a product with the cast mask takes 3/4 of the time of Where. */
export function masked(x: Tensor, mask: Tensor): Tensor {
  return mul(x, cast(mask, x.dtype));
}

/** Whether `value` is the scalar constant `expected`. */
function isScalar(value: Operand, expected: number): boolean {
  return (typeof value === 'number' ? value : value.scalarValue) === expected;
}

/** a + b with broadcasting. */
export function add(a: Operand, b: Operand): Tensor {
  if (typeof a !== 'number' && isScalar(b, 0)) return a;
  if (typeof b !== 'number' && isScalar(a, 0)) return b;
  return applyBinary(arithmetic.Add, a, b);
}

/** a - b with broadcasting. */
export function sub(a: Operand, b: Operand): Tensor {
  if (typeof a !== 'number' && isScalar(b, 0)) return a;
  return applyBinary(arithmetic.Sub, a, b);
}

/** a * b with broadcasting; products of scalar constants and products with 1 cost no node. */
export function mul(a: Operand, b: Operand): Tensor {
  if (typeof a !== 'number' && isScalar(b, 1)) return a;
  if (typeof b !== 'number' && isScalar(a, 1)) return b;
  const [x, y] = toTensors(a, b, 'Mul');
  const [p, q] = [x.scalarValue, y.scalarValue];
  if (p !== undefined && q !== undefined && x.dtype === y.dtype) return x.graph.scalar(p * q, x.dtype);
  return apply(arithmetic.Mul, [x, y]);
}

/** a / b with broadcasting. */
export function div(a: Operand, b: Operand): Tensor {
  if (typeof a !== 'number' && isScalar(b, 1)) return a;
  return applyBinary(arithmetic.Div, a, b);
}

export function neg(x: Tensor): Tensor {
  return x.scalarValue === undefined ? apply(arithmetic.Neg, [x]) : x.graph.scalar(-x.scalarValue, x.dtype);
}

/** Element-wise maximum with broadcasting; a tie sends half of the gradient to either side. */
export function maximum(a: Operand, b: Operand): Tensor {
  return applyBinary(arithmetic.Max, a, b);
}

/** Element-wise minimum with broadcasting; a tie sends half of the gradient to either side. */
export function minimum(a: Operand, b: Operand): Tensor {
  return applyBinary(arithmetic.Min, a, b);
}

/** `a` where `condition` (bool) holds, else `b`; all three broadcast. Two numbers give float32. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const [x, y] = toTensors(typeof a === 'number' && typeof b === 'number' ? condition.graph.scalar(a) : a, b, 'Where');
  return apply(arithmetic.Where, [condition, x, y]);
}

export function less(a: Operand, b: Operand): Tensor {
  return applyBinary(arithmetic.Less, a, b);
}

export function lessOrEqual(a: Operand, b: Operand): Tensor {
  return applyBinary(arithmetic.LessOrEqual, a, b);
}

export function greater(a: Operand, b: Operand): Tensor {
  return applyBinary(arithmetic.Greater, a, b);
}

export function equal(a: Operand, b: Operand): Tensor {
  return applyBinary(arithmetic.Equal, a, b);
}

/** Logical and of bool tensors. */
export function and(a: Tensor, b: Tensor): Tensor {
  return apply(arithmetic.And, [a, b]);
}

/** Logical negation of a bool tensor. */
export function not(x: Tensor): Tensor {
  return apply(arithmetic.Not, [x]);
}
