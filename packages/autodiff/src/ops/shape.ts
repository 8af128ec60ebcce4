import type { NodeView } from '../operation.js';
import { operations } from '../operation.js';
import type { Shape, Tensor } from '../tensor.js';
import { broadcastShapes, dimensionAt, elementCount, range, sameShape } from '../tensor.js';
import { apply, axisOf, onlyOutput } from './apply.js';

/** Bounds of a Slice node: inputs are data, starts, ends, axes, steps. */
function sliceBounds(view: NodeView): { starts: number[]; ends: number[]; axes: number[]; steps: number[] } {
  return {
    starts: view.constantIntegers(1),
    ends: view.constantIntegers(2),
    axes: view.constantIntegers(3),
    steps: view.constantIntegers(4),
  };
}

export const shape = operations({
  Reshape: {
    infer: (view) => {
      const target = view.constantIntegers(1);
      if (elementCount(target) !== view.input(0).size) view.fail(`cannot reshape to [${target.join(',')}]`);
      return [{ dtype: view.input(0).dtype, shape: target }];
    },
    gradient: (view) => [() => reshape(view.dy, view.input(0).shape)],
  },
  Transpose: {
    infer: (view) => {
      const x = view.input(0);
      const perm = view.ints('perm');
      const complete = perm.length === x.rank && range(x.rank).every((axis) => perm.includes(axis));
      if (!complete) view.fail(`perm [${perm.join(',')}] is not a permutation of its axes`);
      return [{ dtype: x.dtype, shape: perm.map((axis) => dimensionAt(x.shape, axis)) }];
    },
    gradient: (view) => {
      const perm = view.ints('perm');
      return [() => transpose(view.dy, perm.map((_, axis) => perm.indexOf(axis)))];
    },
  },
  Expand: {
    infer: (view) => {
      const target = view.constantIntegers(1);
      const result = broadcastShapes(view.input(0).shape, target);
      if (result === undefined || !sameShape(result, target)) return view.fail(`cannot expand to [${target.join(',')}]`);
      return [{ dtype: view.input(0).dtype, shape: target }];
    },
    gradient: (view) => [() => view.sumToInput(view.broadcastDy, 0)],
  },
  Slice: {
    infer: (view) => {
      const x = view.input(0);
      const { starts, ends, axes, steps } = sliceBounds(view);
      const result = [...x.shape];
      axes.forEach((axis, i) => {
        const [start, end, step, size] = [starts[i] ?? 0, ends[i] ?? 0, steps[i] ?? 1, dimensionAt(x.shape, axis)];
        if (start < 0 || start >= end || end > size) view.fail(`bounds ${start}:${end} do not fit axis ${axis}`);
        result[axis] = Math.ceil((end - start) / step);
      });
      return [{ dtype: x.dtype, shape: result }];
    },
    gradient: (view) => {
      const x = view.input(0);
      const { starts, ends, axes, steps } = sliceBounds(view);
      if (steps.some((step) => step !== 1)) view.unsupported('a slice with steps has no gradient');
      const before = x.shape.map((_, axis) => starts[axes.indexOf(axis)] ?? 0);
      const after = x.shape.map((size, axis) => size - (ends[axes.indexOf(axis)] ?? size));
      return [() => pad(view.dy, [...before, ...after])];
    },
  },
  Split: {
    infer: (view) => {
      const x = view.input(0);
      const axis = view.int('axis');
      const sizes = view.constantIntegers(1);
      if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[axis]) {
        view.fail(`sizes ${sizes.join(' + ')} do not add up to axis ${axis}`);
      }
      return sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(axis, size) }));
    },
    gradient: (view) => [
      () =>
        concat(
          view.outputs.map((part, i) => view.dyOf(i) ?? fill(part, 0, part.shape)),
          view.int('axis'),
        ),
    ],
  },
  Concat: {
    infer: (view) => {
      const first = view.input(0);
      const axis = view.int('axis');
      let length = 0;
      for (const part of view.inputs.map((_, i) => view.input(i))) {
        if (part.dtype !== first.dtype) view.fail('dtypes differ', 'Cast them to one.');
        if (part.rank !== first.rank || !sameShape(part.shape.with(axis, 1), first.shape.with(axis, 1))) {
          view.fail(`shapes differ outside axis ${axis}`);
        }
        length += dimensionAt(part.shape, axis);
      }
      return [{ dtype: first.dtype, shape: first.shape.with(axis, length) }];
    },
    gradient: (view) => {
      const axis = view.int('axis');
      const sizes = view.inputs.map((_, i) => dimensionAt(view.input(i).shape, axis));
      const all = sizes.every((_, i) => view.wants(i));
      const start = (i: number): number => sizes.slice(0, i).reduce((sum, size) => sum + size, 0);
      return sizes.map((size, i) => () => {
        // one Split serves all parts; a part alone is cheaper to cut out
        const part = all ? split(view.dy, sizes, axis)[i] : undefined;
        return part ?? slice(view.dy, axis, start(i), start(i) + size);
      });
    },
  },
  Pad: {
    infer: (view) => {
      const x = view.input(0);
      const pads = view.constantIntegers(1);
      if (pads.length !== 2 * x.rank || pads.some((n) => n < 0)) {
        view.fail(`pads [${pads.join(',')}] must be ${2 * x.rank} non-negative numbers, all begins before all ends`);
      }
      return [{ dtype: x.dtype, shape: x.shape.map((size, axis) => size + (pads[axis] ?? 0) + (pads[x.rank + axis] ?? 0)) }];
    },
    gradient: (view) => {
      const x = view.input(0);
      const starts = view.constantIntegers(1).slice(0, x.rank);
      return [() => cut(view.dy, starts, starts.map((start, axis) => start + dimensionAt(x.shape, axis)))];
    },
  },
});

/** `x` with another shape of the same element count; one dimension may be -1. */
export function reshape(x: Tensor, target: Shape): Tensor {
  const rest = x.size / elementCount(target.filter((size) => size !== -1));
  const resolved = target.map((size) => (size === -1 && Number.isInteger(rest) ? rest : size));
  if (sameShape(resolved, x.shape)) return x;
  // a reshape of a reshape is one reshape
  const inner = x.source.kind === 'node' && x.source.node.operation === shape.Reshape ? x.source.node.inputs[0] : undefined;
  if (inner !== undefined && inner.size === elementCount(resolved)) return reshape(inner, resolved);
  return apply(shape.Reshape, [x, x.graph.integers(resolved)]);
}

/** Permutes the axes: output axis i is input axis `perm[i]`. */
export function transpose(x: Tensor, perm: readonly number[]): Tensor {
  if (perm.length === x.rank && perm.every((axis, i) => axis === i)) return x;
  const node = x.source.kind === 'node' && x.source.node.operation === shape.Transpose ? x.source.node : undefined;
  const inner = node?.inputs[0];
  const attribute = node?.attributes['perm'];
  if (inner !== undefined && attribute !== undefined && 'ints' in attribute && perm.length === x.rank) {
    return transpose(inner, perm.map((axis) => attribute.ints[axis] ?? -1));
  }
  return apply(shape.Transpose, [x], { perm: { ints: [...perm] } });
}

/** Repeats dimensions of size 1 (and missing leading ones) so that the result has exactly shape `target`. */
export function expand(x: Tensor, target: Shape): Tensor {
  return sameShape(x.shape, target) ? x : apply(shape.Expand, [x, x.graph.integers(target)]);
}

/** Elements `start` to `end` (exclusive) along one axis; negative bounds count from the end. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = axisOf(x, axis, 'Slice');
  const size = dimensionAt(x.shape, at);
  const [from, to] = [start < 0 ? start + size : start, end < 0 ? end + size : end];
  return cut(x, x.shape.map((_, i) => (i === at ? from : 0)), x.shape.map((length, i) => (i === at ? to : length)));
}

/** Elements `starts[a]` to `ends[a]` in steps of `steps[a]` along every axis a. */
export function cut(x: Tensor, starts: readonly number[], ends: readonly number[], steps: readonly number[] = x.shape.map(() => 1)): Tensor {
  const axes = range(x.rank).filter((a) => starts[a] !== 0 || ends[a] !== x.shape[a] || steps[a] !== 1);
  if (axes.length === 0) return x;
  const pick = (values: readonly number[]): Tensor => x.graph.integers(axes.map((a) => values[a] ?? 0));
  return apply(shape.Slice, [x, pick(starts), pick(ends), x.graph.integers(axes), pick(steps)]);
}

/** Cuts `x` along one axis into parts of the given sizes. */
export function split(x: Tensor, sizes: readonly number[], axis: number): Tensor[] {
  const at = axisOf(x, axis, 'Split');
  if (sizes.length === 1 && sizes[0] === x.shape[at]) return [x];
  return [...x.graph.apply(shape.Split, [x, x.graph.integers(sizes)], { axis: { int: at } })];
}

/** Joins tensors along one axis. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const [first, ...rest] = parts;
  const one = onlyOutput(parts);
  if (first === undefined || rest.length === 0) return one;
  return apply(shape.Concat, [first, ...rest], { axis: { int: axisOf(first, axis, 'Concat') } });
}

/** Surrounds `x` with a constant. `pads` as in ONNX: the begins of all axes, then the ends of all axes. */
export function pad(x: Tensor, pads: readonly number[], value = 0): Tensor {
  if (pads.every((n) => n === 0)) return x;
  return apply(shape.Pad, [x, x.graph.integers(pads), x.graph.scalar(value, x.dtype)]);
}

/** A tensor of `like`'s dtype filled with one value; the model stores a scalar only. */
export function fill(like: Tensor, value: number, target: Shape): Tensor {
  return expand(like.graph.scalar(value, like.dtype), target);
}
