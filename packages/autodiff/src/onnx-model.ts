import { create, toBinary } from '@bufbuild/protobuf';
import { Dd2Error } from '@dd2/core';
import type { AttributeProto, NodeProto, TensorProto, ValueInfoProto } from './gen/onnx_pb.js';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from './gen/onnx_pb.js';
import type { GraphNode } from './graph.js';
import type { Attribute } from './operation.js';
import { StopGradient } from './ops/stop-gradient.js';
import type { DType, Shape, Tensor } from './tensor.js';

export const irVersion = 8n;
export const opsetVersion = 18n;

const dataTypes: Record<DType, DataType> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  int32: DataType.INT32,
  int64: DataType.INT64,
  uint8: DataType.UINT8,
  bool: DataType.BOOL,
};

/**
 * Encodes the nodes that `outputs` need as a ModelProto. A tensor takes the name of the output that fetches it;
 * `stopGradient` leaves no trace; constants become initializers; optional outputs that nobody reads are left out.
 */
export function encodeModel(
  name: string,
  nodes: readonly GraphNode[],
  inputs: readonly Tensor[],
  outputs: ReadonlyMap<string, Tensor>,
): Uint8Array {
  const read = new Set<Tensor>();
  const pending: Tensor[] = [...outputs.values()].map(resolve);
  const live = new Set<GraphNode>();
  for (let tensor = pending.pop(); tensor !== undefined; tensor = pending.pop()) {
    read.add(tensor);
    if (tensor.source.kind !== 'node' || live.has(tensor.source.node)) continue;
    live.add(tensor.source.node);
    for (const input of tensor.source.node.inputs) if (input !== undefined) pending.push(resolve(input));
  }

  const names = new Map<Tensor, string>();
  const copies: NodeProto[] = [];
  for (const [outputName, fetched] of outputs) {
    const tensor = resolve(fetched);
    if (tensor.source.kind === 'node' && !names.has(tensor)) names.set(tensor, outputName);
    else copies.push(copyNode(names.get(tensor) ?? tensor.name, outputName));
  }
  const nameOf = (tensor: Tensor): string => names.get(tensor) ?? tensor.name;

  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'dd2',
    opsetImport: [{ domain: '', version: opsetVersion }],
    graph: {
      name,
      node: [...nodes.filter((node) => live.has(node)).map((node) => encodeNode(node, nameOf, read)), ...copies],
      initializer: [...read].filter((tensor) => tensor.source.kind === 'constant').map(encodeConstant),
      input: inputs.map((tensor) => encodePort(tensor.name, tensor.dtype, tensor.shape)),
      output: [...outputs].map(([outputName, tensor]) => encodePort(outputName, tensor.dtype, tensor.shape)),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** Looks through `stopGradient`, which matters to differentiation only. */
function resolve(tensor: Tensor): Tensor {
  let current = tensor;
  while (current.source.kind === 'node' && current.source.node.operation === StopGradient) {
    const inner = current.source.node.inputs[0];
    if (inner === undefined) break;
    current = inner;
  }
  return current;
}

function encodeNode(node: GraphNode, nameOf: (tensor: Tensor) => string, read: ReadonlySet<Tensor>): NodeProto {
  const input = node.inputs.map((tensor) => (tensor === undefined ? '' : nameOf(resolve(tensor))));
  while (input.at(-1) === '') input.pop();
  // Split needs all its outputs; other operations' outputs after the first are optional
  const required = node.operation.type === 'Split';
  const output = node.outputs.map((tensor, i) => (i === 0 || required || read.has(tensor) ? nameOf(tensor) : ''));
  while (output.at(-1) === '') output.pop();
  return create(NodeProtoSchema, {
    name: node.name,
    opType: node.operation.type,
    input,
    output,
    attribute: Object.entries(node.attributes).map(([name, attribute]) => encodeAttribute(name, attribute)),
  });
}

function copyNode(from: string, to: string): NodeProto {
  return create(NodeProtoSchema, { name: `copy ${to}`, opType: 'Identity', input: [from], output: [to] });
}

export function encodeAttribute(name: string, attribute: Attribute): AttributeProto {
  if ('int' in attribute) return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(attribute.int) });
  if ('float' in attribute) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: attribute.float });
  if ('text' in attribute) {
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(attribute.text) });
  }
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: attribute.ints.map(BigInt) });
}

function encodeConstant(tensor: Tensor): TensorProto {
  const data = tensor.constantData ?? new Uint8Array();
  return create(TensorProtoSchema, {
    name: tensor.name,
    dims: tensor.shape.map(BigInt),
    dataType: dataTypes[tensor.dtype],
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
}

function encodePort(name: string, dtype: DType, shape: Shape): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: { tensorType: { elemType: dataTypes[dtype], shape: { dim: shape.map((size) => ({ dimValue: BigInt(size) })) } } },
  });
}

/** The tensor dtypes' ONNX codes, for the `to` attribute of Cast. */
export function onnxDataType(dtype: DType): number {
  return dataTypes[dtype];
}

/** @throws {Dd2Error} INTERNAL for a type that this package does not write */
export function dtypeOf(code: DataType): DType {
  const found = (Object.keys(dataTypes) as DType[]).find((dtype) => dataTypes[dtype] === code);
  if (found) return found;
  throw new Dd2Error('INTERNAL', `a tensor has the ONNX type ${code}`);
}
