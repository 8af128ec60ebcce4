import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { GraphProtoSchema, ModelProtoSchema, TensorProtoSchema, type GraphProto, type ModelProto } from '../gen/onnx_pb.js';
import { onnxDataType } from '../onnx-model.js';

/** What a protobuf message, and with it a model in one file, may have at most. */
export const MODEL_BYTES_LIMIT = 2 ** 31 - 1;

/** Field numbers of ONNX that are written by hand here. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_RAW_DATA = 9;

/** The bytes of a model in order, most of them views of its tensors: `bytes` in all. */
export interface ModelBytes {
  readonly bytes: number;
  readonly chunks: Iterable<Uint8Array>;
}

/**
 * Encodes a model whose large initializers lie elsewhere. They are never copied: each becomes a header and a view of its data.
 * @throws {Dd2Error} UNSUPPORTED_OPERATION when it would not fit one file
 */
export function encodeModelBytes(model: Omit<ModelProto, 'graph'>, graph: GraphProto, initializers: ReadonlyMap<string, HostTensor>): ModelBytes {
  const small = toBinary(GraphProtoSchema, graph);
  const parts = [...initializers].map(([name, tensor]) => encodeInitializer(name, tensor));
  const graphBytes = parts.reduce((sum, { header, data }) => sum + header.byteLength + data.byteLength, small.byteLength);
  const head = Buffer.concat([toBinary(ModelProtoSchema, create(ModelProtoSchema, model)), field(MODEL_GRAPH, graphBytes)]);
  const bytes = head.byteLength + graphBytes;
  if (bytes > MODEL_BYTES_LIMIT) {
    throw new Dd2Error('UNSUPPORTED_OPERATION', `the model has ${(bytes / 1e9).toFixed(1)} GB, more than the 2 GB that one ONNX file holds`, {
      field: graph.name,
      remedy: 'Export the parameters as safetensors',
    });
  }
  return { bytes, chunks: [head, small, ...parts.flatMap(({ header, data }) => [header, data])] };
}

function encodeInitializer(name: string, { dtype, shape, data }: HostTensor): { header: Uint8Array; data: Uint8Array } {
  const tensor = toBinary(TensorProtoSchema, create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: onnxDataType(dtype) }));
  const raw = field(TENSOR_RAW_DATA, data.byteLength);
  const header = Buffer.concat([field(GRAPH_INITIALIZER, tensor.byteLength + raw.byteLength + data.byteLength), tensor, raw]);
  return { header, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** Tag and length of a field whose content follows. */
function field(number: number, bytes: number): Uint8Array {
  // A length beyond 32 bits is refused above, once it is known how far beyond.
  return new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(Math.min(bytes, 2 ** 32 - 1)).finish();
}
