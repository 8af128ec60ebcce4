import type { GradientView, NodeView, TensorType } from '../operation.js';
import { operations } from '../operation.js';
import type { Shape, Tensor } from '../tensor.js';
import { dimensionAt, padRank, range } from '../tensor.js';
import { div, equal, mul } from './arithmetic.js';
import { apply, axisOf, sameFloatType } from './apply.js';
import { cast } from './elementwise.js';
import { reshape } from './shape.js';

/** Inputs are data and axes (constant). */
function reducedType(view: NodeView): readonly TensorType[] {
  const x = view.input(0);
  const axes = view.constantIntegers(1);
  const keep = view.int('keepdims') === 1;
  return [{ dtype: x.dtype, shape: x.shape.flatMap((size, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [size])) }];
}

/** A value that broadcasts to the output, reshaped so that it broadcasts to the input. */
function withReducedAxes(view: GradientView, value: Tensor): Tensor {
  if (view.int('keepdims') === 1 || value.rank === 0) return value;
  const axes = view.constantIntegers(1);
  const padded = [...padRank(value.shape, view.output.rank)];
  const kept: Shape = view.input(0).shape.map((_, axis) => (axes.includes(axis) ? 1 : (padded.shift() ?? 1)));
  return reshape(value, kept);
}

export const reduction = operations({
  ReduceSum: { infer: reducedType, gradient: (view) => [() => withReducedAxes(view, view.broadcastDy)] },
  ReduceMean: {
    infer: (view) => {
      sameFloatType(view);
      return reducedType(view);
    },
    gradient: (view) => {
      const share = view.output.size / view.input(0).size;
      return [() => mul(withReducedAxes(view, view.broadcastDy), share)];
    },
  },
  ReduceMax: {
    infer: reducedType,
    // equal maxima share the gradient evenly
    gradient: (view) => [
      () => {
        const x = view.input(0);
        const chosen = cast(equal(x, withReducedAxes(view, view.output)), x.dtype);
        const count = reduceSum(chosen, view.constantIntegers(1), true);
        return mul(chosen, div(withReducedAxes(view, view.broadcastDy), count));
      },
    ],
  },
  ArgMax: { infer: indexType, gradient: 'zero' },
  ArgMin: { infer: indexType, gradient: 'zero' },
});

function indexType(view: NodeView): readonly TensorType[] {
  return [{ dtype: 'int64', shape: view.input(0).shape.toSpliced(view.int('axis'), 1) }];
}

function reduce(row: keyof typeof reduction, x: Tensor, axes: readonly number[] | undefined, keepDims: boolean): Tensor {
  const all = (axes ?? range(x.rank)).map((axis) => axisOf(x, axis, row)).sort((a, b) => a - b);
  // nothing to add up: only the shape changes
  if (all.every((axis) => dimensionAt(x.shape, axis) === 1)) {
    return keepDims ? x : reshape(x, x.shape.filter((_, axis) => !all.includes(axis)));
  }
  return apply(reduction[row], [x, x.graph.integers(all)], { keepdims: { int: keepDims ? 1 : 0 } });
}

/** Sum over `axes` (all when undefined). */
export function reduceSum(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  return reduce('ReduceSum', x, axes, keepDims);
}

/** Mean over `axes` (all when undefined). */
export function reduceMean(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  return reduce('ReduceMean', x, axes, keepDims);
}

/** Maximum over `axes` (all when undefined); equal maxima share the gradient evenly. */
export function reduceMax(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  return reduce('ReduceMax', x, axes, keepDims);
}

/** Index (int64) of the first maximum along `axis`, which disappears from the shape. */
export function argMax(x: Tensor, axis: number): Tensor {
  return apply(reduction.ArgMax, [x], { axis: { int: axisOf(x, axis, 'ArgMax') }, keepdims: { int: 0 } });
}

/** Index (int64) of the first minimum along `axis`, which disappears from the shape. */
export function argMin(x: Tensor, axis: number): Tensor {
  return apply(reduction.ArgMin, [x], { axis: { int: axisOf(x, axis, 'ArgMin') }, keepdims: { int: 0 } });
}
