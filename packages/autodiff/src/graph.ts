import { Dd2Error } from '@dd2/core';
import { encodeModel } from './onnx-model.js';
import type { Attributes, Operation } from './operation.js';
import { NodeView } from './operation.js';
import type { DType, Shape, TensorData } from './tensor.js';
import { Tensor, elementCount, formatShape } from './tensor.js';

/** One application of an operation. Nodes are kept in the order of creation, which is a topological order. */
export interface GraphNode {
  readonly index: number;
  readonly name: string;
  readonly operation: Operation;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes: Attributes;
  readonly outputs: readonly Tensor[];
}

export interface GraphPort {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Constants up to this many elements are compared by value and shared. */
const sharedConstantElements = 1024;

/**
 * A computation with static shapes that becomes one ONNX model. Applying the same operation to the same inputs twice
 * yields the same tensor (every operation is a pure function), so common subexpressions are computed once.
 */
export class Graph {
  readonly nodes: GraphNode[] = [];
  readonly #inputs: Tensor[] = [];
  readonly #outputs = new Map<string, Tensor>();
  readonly #names = new Set<string>();
  readonly #constants = new Map<string, Tensor>();
  readonly #applied = new Map<string, GraphNode>();
  #scope = '';
  #constantCount = 0;

  constructor(readonly name: string) {}

  /** Declares an input. Names are unique within the graph. */
  input(name: string, shape: Shape, dtype: DType = 'float32'): Tensor {
    this.#claim(name);
    const tensor = new Tensor(this, name, dtype, checkedShape(shape, name), { kind: 'input' });
    this.#inputs.push(tensor);
    return tensor;
  }

  /** A constant; the class of `data` decides the dtype (`Uint8Array` is uint8 unless `dtype` says bool). */
  constant(data: TensorData, shape: Shape, dtype: DType = dtypeOf(data)): Tensor {
    if (data.length !== elementCount(shape)) {
      throw new Dd2Error('INVALID_ARGUMENT', `constant of shape ${formatShape(shape)} has ${data.length} values`, {
        field: this.name,
      });
    }
    const key = data.length <= sharedConstantElements ? `${dtype}${formatShape(shape)}${valueKey(data)}` : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.#unique(`constant_${this.#constantCount++}`);
    const tensor = new Tensor(this, name, dtype, [...shape], { kind: 'constant', data: data.slice() });
    if (key !== undefined) this.#constants.set(key, tensor);
    return tensor;
  }

  /** A constant of shape []. Equal scalars are one tensor. */
  scalar(value: number, dtype: DType = 'float32'): Tensor {
    return this.constant(dataOf(dtype, [value]), [], dtype);
  }

  /** A one-dimensional int64 constant: shapes, axes, bounds. */
  integers(values: readonly number[]): Tensor {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** Declares that `tensor` is fetched as `name`. */
  output(name: string, tensor: Tensor): void {
    this.#own(tensor, 'output');
    this.#claim(name);
    this.#outputs.set(name, tensor);
  }

  get inputs(): readonly GraphPort[] {
    return this.#inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  }

  get outputs(): readonly GraphPort[] {
    return [...this.#outputs].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  }

  /** Nodes made inside `build` carry `name/` in front of their names, which is what errors show. */
  scope<T>(name: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${name}/`;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /** Adds a node (or finds the equal one) and returns its outputs. Inputs may be undefined where ONNX makes them optional. */
  apply(operation: Operation, inputs: readonly (Tensor | undefined)[], attributes: Attributes = {}): readonly Tensor[] {
    for (const tensor of inputs) if (tensor !== undefined) this.#own(tensor, operation.type);
    const key = `${operation.type}(${inputs.map((t) => t?.name ?? '').join('|')})${JSON.stringify(attributes)}`;
    const known = this.#applied.get(key);
    if (known !== undefined && known.operation === operation) return known.outputs;
    const index = this.nodes.length;
    const name = `${this.#scope}${operation.type}_${index}`;
    const types = operation.infer(new NodeView(operation.type, name, inputs, attributes));
    const outputs: Tensor[] = [];
    const node: GraphNode = { index, name, operation, inputs: [...inputs], attributes, outputs };
    types.forEach(({ dtype, shape }, i) => {
      const tensorName = this.#unique(i === 0 ? name : `${name}:${i}`);
      outputs.push(new Tensor(this, tensorName, dtype, checkedShape(shape, name), { kind: 'node', node, index: i }));
    });
    this.nodes.push(node);
    this.#applied.set(key, node);
    return outputs;
  }

  /** ONNX ModelProto bytes of what the declared outputs need; every declared input stays an input. */
  toOnnx(): Uint8Array {
    if (this.#outputs.size === 0) {
      throw new Dd2Error('INVALID_ARGUMENT', 'graph has no outputs', { field: this.name, remedy: 'Declare at least one with output().' });
    }
    return encodeModel(this.name, this.nodes, this.#inputs, this.#outputs);
  }

  #own(tensor: Tensor, user: string): void {
    if (tensor.graph !== this) {
      throw new Dd2Error('INVALID_ARGUMENT', `${user} in graph ${this.name} got a tensor of graph ${tensor.graph.name}`, {
        field: tensor.name,
        remedy: 'Pass values between graphs as outputs and inputs.',
      });
    }
  }

  #claim(name: string): void {
    if (name === '' || this.#names.has(name)) {
      throw new Dd2Error('INVALID_ARGUMENT', `name is empty or taken in graph ${this.name}`, { field: name });
    }
    this.#names.add(name);
  }

  #unique(name: string): string {
    let candidate = name;
    while (this.#names.has(candidate)) candidate += "'";
    this.#names.add(candidate);
    return candidate;
  }
}

function checkedShape(shape: Shape, name: string): Shape {
  if (shape.some((dimension) => !Number.isSafeInteger(dimension) || dimension < 1)) {
    throw new Dd2Error('INVALID_ARGUMENT', `shape ${formatShape(shape)} must consist of positive integers`, { field: name });
  }
  return [...shape];
}

function dtypeOf(data: TensorData): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Int32Array) return 'int32';
  return data instanceof BigInt64Array ? 'int64' : 'uint8';
}

/** `values` as the array class of `dtype`. */
export function dataOf(dtype: DType, values: readonly number[]): TensorData {
  switch (dtype) {
    case 'float32':
      return Float32Array.from(values);
    case 'float64':
      return Float64Array.from(values);
    case 'int32':
      return Int32Array.from(values);
    case 'int64':
      return BigInt64Array.from(values, BigInt);
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values);
  }
}

/** Distinguishes -0 from 0, which a decimal rendering would not. */
function valueKey(data: TensorData): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
}
