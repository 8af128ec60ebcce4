import type { NodeView } from '../operation.js';
import { operations } from '../operation.js';
import type { DType, Tensor } from '../tensor.js';
import { dimensionAt, range } from '../tensor.js';
import { dataOf } from '../graph.js';
import { apply, axisOf } from './apply.js';
import { cast } from './elementwise.js';
import { fill, reshape, transpose } from './shape.js';

function checkIndices(view: NodeView, indices: Tensor): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32') view.fail('indices must be int64 or int32', 'Cast them.');
}

export const indexing = operations({
  Gather: {
    infer: (view) => {
      const [x, indices, axis] = [view.input(0), view.input(1), view.int('axis')];
      checkIndices(view, indices);
      return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] }];
    },
    // rows of dy are added up where they came from; another axis is brought to the front and back
    gradient: (view) => {
      const [x, indices, axis] = [view.input(0), view.input(1), view.int('axis')];
      const dimensions = range(view.output.rank);
      const gathered = dimensions.slice(axis, axis + indices.rank);
      const front = [...gathered, ...dimensions.filter((d) => !gathered.includes(d))];
      const back = [...range(x.rank).slice(1, axis + 1), 0, ...range(x.rank).slice(axis + 1)];
      return [() => transpose(scatter(indices, transpose(view.dy, front), dimensionAt(x.shape, axis)), back)];
    },
  },
  // data with updates added at indices (one coordinate per index: rows of data)
  ScatterND: {
    infer: (view) => {
      const [data, indices, updates] = [view.input(0), view.input(1), view.input(2)];
      checkIndices(view, indices);
      const expected = [...indices.shape.slice(0, -1), ...data.shape.slice(1)];
      if (indices.shape.at(-1) !== 1 || updates.dtype !== data.dtype || updates.shape.join() !== expected.join()) {
        view.fail(`updates must have shape [${expected.join(',')}] and the dtype of data`);
      }
      return [data];
    },
    gradient: (view) => [
      () => view.dy,
      undefined,
      () => gather(view.dy, reshape(view.input(1), view.input(1).shape.slice(0, -1)), 0),
    ],
  },
  OneHot: {
    infer: (view) => {
      const [indices, depth, values] = [view.input(0), view.constantIntegers(1)[0], view.input(2)];
      checkIndices(view, indices);
      return [{ dtype: values.dtype, shape: [...indices.shape, depth ?? view.fail('depth is missing')] }];
    },
    gradient: 'zero',
  },
});

/** Slices of `x` along `axis` chosen by int64 `indices`, whose shape replaces that axis. */
export function gather(x: Tensor, indices: Tensor, axis = 0): Tensor {
  return apply(indexing.Gather, [x, indices], { axis: { int: axisOf(x, axis, 'Gather') } });
}

/** Adds rows up: `updates` [...indices shape, ...row] -> [depth, ...row], row i the sum of the updates with index i. */
export function scatter(indices: Tensor, updates: Tensor, depth: number): Tensor {
  const zeros = fill(updates, 0, [depth, ...updates.shape.slice(indices.rank)]);
  const coordinates = reshape(cast(indices, 'int64'), [...indices.shape, 1]);
  return apply(indexing.ScatterND, [zeros, coordinates, updates], { reduction: { text: 'add' } });
}

/** 1 at the index, 0 elsewhere: int64 indices [...] -> [..., depth]. */
export function oneHot(indices: Tensor, depth: number, dtype: DType = 'float32'): Tensor {
  const graph = indices.graph;
  const values = graph.constant(dataOf(dtype, [0, 1]), [2], dtype);
  return apply(indexing.OneHot, [cast(indices, 'int64'), graph.integers([depth]), values], { axis: { int: -1 } });
}

/** Rows of `table` [V, ...] chosen by int64 `indices` [...]. */
export function embedding(table: Tensor, indices: Tensor): Tensor {
  return gather(table, indices, 0);
}
