import type { DType, TypedArrayOf } from '@dd2/core';
import type { Graph, GraphNode } from './graph.js';

export type { DType };
export type Shape = readonly number[];
/** Row-major values of a constant; the dtype decides the class of the array. */
export type TensorData = TypedArrayOf[DType];

/** Where a tensor's value comes from. */
export type TensorSource =
  | { readonly kind: 'input' }
  | { readonly kind: 'constant'; readonly data: TensorData }
  | { readonly kind: 'node'; readonly node: GraphNode; readonly index: number };

/** A value of a graph: a name, a dtype and a static shape. Tensors are made by `Graph` and by the operations. */
export class Tensor {
  constructor(
    readonly graph: Graph,
    readonly name: string,
    readonly dtype: DType,
    readonly shape: Shape,
    readonly source: TensorSource,
  ) {}

  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return elementCount(this.shape);
  }

  /** The values, when the tensor is a constant. */
  get constantData(): TensorData | undefined {
    return this.source.kind === 'constant' ? this.source.data : undefined;
  }

  /** The value, when the tensor is a constant of shape []. */
  get scalarValue(): number | undefined {
    const data = this.constantData;
    return data !== undefined && this.rank === 0 ? Number(data[0]) : undefined;
  }
}

export function elementCount(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i]);
}

/** `[2,3]` */
export function formatShape(shape: Shape): string {
  return `[${shape.join(',')}]`;
}

/** Dimension of `shape` at `axis`; 1 outside it, which is how broadcasting reads a missing dimension. */
export function dimensionAt(shape: Shape, axis: number): number {
  return shape[axis] ?? 1;
}

/** The shape that both broadcast to (aligned at the last dimension), or undefined when there is none. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: number[] = [];
  for (let i = 0; i < rank; i++) {
    const x = dimensionAt(a, i - (rank - a.length));
    const y = dimensionAt(b, i - (rank - b.length));
    if (x !== y && x !== 1 && y !== 1) return undefined;
    result.push(x === 1 ? y : x);
  }
  return result;
}

/** `shape` with ones in front so that it has `rank` dimensions. */
export function padRank(shape: Shape, rank: number): Shape {
  return [...new Array<number>(Math.max(0, rank - shape.length)).fill(1), ...shape];
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64';
}

/** 0, 1, ..., n-1 */
export function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
