import { Dd2Error, type ErrorCode } from '@dd2/core';
import type { DType, Shape, Tensor } from './tensor.js';
import { formatShape } from './tensor.js';

/** An ONNX attribute with its type spelled out: ONNX distinguishes 1 from 1.0. */
export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] };
export type Attributes = Readonly<Record<string, Attribute>>;

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What a row sees of a node. `fail` throws a `Dd2Error` that names the operation, the node and the input shapes. */
export class NodeView {
  constructor(
    readonly operation: string,
    readonly node: string,
    readonly inputs: readonly (Tensor | undefined)[],
    readonly attributes: Attributes,
  ) {}

  /** Input `index`, which must be there. */
  input(index: number): Tensor {
    return this.inputs[index] ?? this.fail(`input ${index} is missing`);
  }

  /** The values of the integer constant at input `index` (a shape, axes, bounds). */
  constantIntegers(index: number): number[] {
    const data = this.input(index).constantData ?? this.fail(`input ${index} must be a constant`);
    return Array.from(data as ArrayLike<number | bigint>, Number);
  }

  int(name: string): number {
    const attribute = this.attributes[name];
    return attribute !== undefined && 'int' in attribute ? attribute.int : this.fail(`attribute ${name} is missing`);
  }

  ints(name: string): readonly number[] {
    const attribute = this.attributes[name];
    return attribute !== undefined && 'ints' in attribute ? attribute.ints : this.fail(`attribute ${name} is missing`);
  }

  fail(problem: string, remedy?: string): never {
    this.#throw('INVALID_ARGUMENT', problem, remedy);
  }

  /** For a gradient rule that does not cover this use of the operation. */
  unsupported(problem: string): never {
    this.#throw('UNSUPPORTED_OPERATION', problem, 'Put stopGradient around it, or extend its rule.');
  }

  #throw(code: ErrorCode, problem: string, remedy: string | undefined): never {
    const shapes = this.inputs.map((t) => (t === undefined ? '-' : `${t.dtype}${formatShape(t.shape)}`)).join(', ');
    throw new Dd2Error(code, `${this.operation}: ${problem}; inputs are ${shapes}`, {
      field: this.node,
      remedy,
      details: { operation: this.operation, node: this.node, shapes },
    });
  }
}

/** What a gradient rule sees: the node, its outputs, and the gradients of the loss with respect to them. */
export interface GradientView extends NodeView {
  readonly outputs: readonly Tensor[];
  /** output 0 */
  readonly output: Tensor;
  /** gradient of output 0, in its full shape */
  readonly dy: Tensor;
  /** gradient of output 0 in a shape that broadcasts to the output's: cheaper where the rule broadcasts anyway */
  readonly broadcastDy: Tensor;
  /** gradient of output `index` in its full shape; undefined when the loss does not depend on it */
  dyOf(index: number): Tensor | undefined;
  /** whether the loss depends on output `index` */
  reached(index: number): boolean;
  /** whether a gradient of input `index` is wanted */
  wants(index: number): boolean;
  /** sums `gradient` (broadcastable to output 0) over the dimensions along which input `index` was broadcast */
  sumToInput(gradient: Tensor, index: number): Tensor;
}

/** One thunk per input; only the wanted ones are called. An absent thunk means that the input takes no gradient. */
export type InputGradients = readonly ((() => Tensor) | undefined)[];

/**
 * One row of the operation table: how outputs follow from inputs, and how gradients flow back.
 * `gradient: 'zero'` marks what is constant almost everywhere (comparisons, integers, `stopGradient`): nothing flows.
 * A row without `gradient` can be used in forward graphs; differentiating through it is an UNSUPPORTED_OPERATION error.
 */
export interface Operation {
  /** ONNX op type */
  readonly type: string;
  readonly infer: (view: NodeView) => readonly TensorType[];
  readonly gradient?: 'zero' | ((view: GradientView) => InputGradients);
}

/** Makes a table of rows: the key is the ONNX op type. */
export function operations<K extends string>(rows: Record<K, Omit<Operation, 'type'>>): Record<K, Operation> {
  const table = {} as Record<K, Operation>;
  for (const type of Object.keys(rows) as K[]) table[type] = { type, ...rows[type] };
  return table;
}
