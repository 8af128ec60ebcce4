import type { GradientView, InputGradients } from '../operation.js';
import { operations } from '../operation.js';
import type { Shape, Tensor } from '../tensor.js';
import { broadcastShapes, dimensionAt, isFloat, range } from '../tensor.js';
import { apply } from './apply.js';
import { reduceSum } from './reduction.js';
import { reshape, transpose } from './shape.js';

/** Rows and columns of the last two dimensions. */
function matrixOf(x: Tensor): [rows: number, columns: number] {
  return [dimensionAt(x.shape, x.rank - 2), dimensionAt(x.shape, x.rank - 1)];
}

function flatten(x: Tensor): Tensor {
  return reshape(x, [-1, dimensionAt(x.shape, x.rank - 1)]);
}

function swapLast(x: Tensor): Tensor {
  return transpose(x, [...range(x.rank - 2), x.rank - 1, x.rank - 2]);
}

/** Sums the leading (batch) dimensions along which a matmul operand was broadcast. */
function sumBatch(gradient: Tensor, target: Shape): Tensor {
  const extra = gradient.rank - target.length;
  const axes = range(gradient.rank - 2).filter((a) => a < extra || (target[a - extra] === 1 && gradient.shape[a] !== 1));
  return reshape(reduceSum(gradient, axes, true), target);
}

/** C = A B with B a matrix: dA = dC B^T and dB = A^T dC as Gemm, whose flags transpose without moving data. */
function matrixGradients(view: GradientView, a: Tensor, b: Tensor): InputGradients {
  return [
    () => reshape(gemm(flatten(view.dy), b, { transB: true }), a.shape),
    () => gemm(flatten(a), flatten(view.dy), { transA: true }),
  ];
}

export const matrix = operations({
  MatMul: {
    infer: (view) => {
      const [a, b] = [view.input(0), view.input(1)];
      if (a.dtype !== b.dtype) view.fail('dtypes differ', 'Cast one of them.');
      if (a.rank < 2 || b.rank < 2) view.fail('needs at least two dimensions', 'Reshape vectors to matrices.');
      const [[rows, inner], [innerB, columns]] = [matrixOf(a), matrixOf(b)];
      if (inner !== innerB) view.fail(`inner dimensions ${inner} and ${innerB} differ`);
      const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)) ?? view.fail('batch dimensions do not broadcast');
      return [{ dtype: a.dtype, shape: [...batch, rows, columns] }];
    },
    gradient: (view) => {
      const [a, b] = [view.input(0), view.input(1)];
      if (b.rank === 2) return matrixGradients(view, a, b);
      return [
        () => sumBatch(matmul(view.dy, swapLast(b)), a.shape),
        () => sumBatch(matmul(swapLast(a), view.dy), b.shape),
      ];
    },
  },
  // Y = A' B' (+ C), where A' and B' are A and B or their transposes
  Gemm: {
    infer: (view) => {
      const [a, b, c] = [view.input(0), view.input(1), view.inputs[2]];
      if (a.rank !== 2 || b.rank !== 2) view.fail('operands must be matrices');
      if (!isFloat(a.dtype) || a.dtype !== b.dtype || (c !== undefined && c.dtype !== a.dtype)) view.fail('dtypes must be equal and floating-point');
      const [rows, inner] = view.int('transA') === 1 ? matrixOf(a).reverse() : matrixOf(a);
      const [innerB, columns] = view.int('transB') === 1 ? matrixOf(b).reverse() : matrixOf(b);
      if (inner !== innerB) view.fail(`inner dimensions ${inner} and ${innerB} differ`);
      if (c !== undefined && (c.rank !== 1 || c.shape[0] !== columns)) view.fail(`bias must have shape [${columns}]`);
      return [{ dtype: a.dtype, shape: [rows ?? 1, columns ?? 1] }];
    },
    gradient: (view) => {
      const [a, b] = [view.input(0), view.input(1)];
      const [transA, transB] = [view.int('transA') === 1, view.int('transB') === 1];
      return [
        () => (transA ? gemm(b, view.dy, { transA: transB, transB: true }) : gemm(view.dy, b, { transB: !transB })),
        () => (transB ? gemm(view.dy, a, { transA: true, transB: transA }) : gemm(a, view.dy, { transA: !transA })),
        () => reduceSum(view.dy, [0]),
      ];
    },
  },
});

interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly bias?: Tensor | undefined;
}

/** Product of two matrices, either of which may be read transposed, plus an optional bias row. */
export function gemm(a: Tensor, b: Tensor, { transA = false, transB = false, bias }: GemmOptions = {}): Tensor {
  const inputs: [Tensor, ...Tensor[]] = bias === undefined ? [a, b] : [a, b, bias];
  return apply(matrix.Gemm, inputs, { transA: { int: transA ? 1 : 0 }, transB: { int: transB ? 1 : 0 } });
}

/** Matrix product over the last two dimensions; leading dimensions broadcast. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  return apply(matrix.MatMul, [a, b]);
}

/** x W^T + b: x [..., in], W [out, in], b [out] -> [..., out]. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const y = gemm(flatten(x), weight, { transB: true, bias });
  return reshape(y, [...x.shape.slice(0, -1), dimensionAt(weight.shape, 0)]);
}
