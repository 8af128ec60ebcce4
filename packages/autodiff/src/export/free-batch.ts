import { create, equals, fromBinary } from '@bufbuild/protobuf';
import { Dd2Error, type Program, type ProgramSignature } from '@dd2/core';
import { GraphProtoSchema, ModelProtoSchema, TensorProto_DataType as DataType, type GraphProto, type TensorProto, type ValueInfoProto } from '../gen/onnx_pb.js';
import type { Shape } from '../tensor.js';

/** The name of the free dimension. */
export const BATCH = 'batch';

/** A dimension: a size, or that of the batch. */
export type Dimension = number | typeof BATCH;

export interface FreeBatchProgram {
  readonly signature: ProgramSignature;
  /** graphs for any batch; the batch is a named dimension of what they take and return */
  readonly graphs: readonly GraphProto[];
  /** the shape of an input or result, of the signature above, for any batch */
  readonly shapeOf: (shape: Shape) => readonly Dimension[];
}

// Primes that no other size of a model is, nor divides into: where one of them appears, it is the batch.
const [ONE, OTHER] = [10_007, 10_009] as const;

/**
 * Frees a program of its batch. Its graphs have static shapes; they are made twice, for two batches, and compared: they may
 * differ in the targets of reshapes only, where one dimension grows with the batch. That one is left to be inferred (-1).
 * @throws {Dd2Error} UNSUPPORTED_OPERATION naming what else depends on the batch
 */
export function freeBatch(build: (batch: number) => Program): FreeBatchProgram {
  const [one, other] = [build(ONE), build(OTHER)];
  const graphs = one.graphs.map((bytes, i) => {
    const [a, b] = [graphOf(bytes), graphOf(other.graphs[i])];
    freeGraph(a, b);
    return a;
  });
  return { signature: one.signature, graphs, shapeOf: (shape) => shape.map((size) => (size === ONE ? BATCH : size)) };
}

function graphOf(bytes: Uint8Array | undefined): GraphProto {
  const graph = bytes && fromBinary(ModelProtoSchema, bytes).graph;
  if (!graph) throw new Dd2Error('INTERNAL', 'a program has a graph that is not there');
  return graph;
}

/** Changes `graph`, which was made for a batch of ONE. */
function freeGraph(graph: GraphProto, other: GraphProto): void {
  const refuse = (what: string): never => {
    throw new Dd2Error('UNSUPPORTED_OPERATION', `graph ${graph.name} cannot be exported for every batch: ${what} depends on it`, { field: what });
  };
  if (graph.node.length !== other.node.length || graph.initializer.length !== other.initializer.length) refuse('its structure');
  const targets = new Set(graph.node.flatMap(({ opType, input }) => (opType === 'Reshape' ? (input[1] ?? []) : [])));
  const elsewhere = new Set(graph.node.flatMap(({ opType, input }) => input.filter((_, i) => opType !== 'Reshape' || i !== 1)));
  graph.initializer.forEach((tensor, i) => {
    const twin = other.initializer[i];
    if (twin?.name !== tensor.name) return refuse(tensor.name);
    if (Buffer.compare(tensor.rawData, twin.rawData) === 0 && tensor.dims.join() === twin.dims.join()) return;
    if (!targets.has(tensor.name) || elsewhere.has(tensor.name) || tensor.dataType !== DataType.INT64) refuse(tensor.name);
    if (!freeTarget(tensor, twin)) refuse(tensor.name);
  });
  // What is left of the two must be the same: nodes and their attributes, and the names of all that they take and return.
  const rest = ({ node, name }: GraphProto): GraphProto => create(GraphProtoSchema, { node, name });
  if (!equals(GraphProtoSchema, rest(graph), rest(other))) refuse('one of its nodes');
  for (const port of [...graph.input, ...graph.output]) freePort(port);
}

/** Leaves the one dimension that grows with the batch to be inferred; false when there is not just one. */
function freeTarget({ rawData }: TensorProto, twin: TensorProto): boolean {
  const [a, b] = [integers(rawData), integers(twin.rawData)];
  const growing = [...a.keys()].filter((i) => a[i] !== b[i]);
  const [at] = growing;
  if (at === undefined || growing.length > 1 || a.length !== b.length) return false;
  if ((a[at] ?? 0n) * BigInt(OTHER) !== (b[at] ?? 0n) * BigInt(ONE)) return false;
  new DataView(rawData.buffer, rawData.byteOffset).setBigInt64(at * 8, -1n, true);
  return true;
}

function freePort({ type }: ValueInfoProto): void {
  for (const dimension of type?.tensorType?.shape?.dim ?? []) {
    const { dimValue } = dimension;
    if (dimValue === undefined || dimValue % BigInt(ONE) !== 0n) continue;
    delete dimension.dimValue;
    if (dimValue === BigInt(ONE)) dimension.dimParam = BATCH; // a multiple of it has no name
  }
}

function integers(bytes: Uint8Array): BigInt64Array {
  return new BigInt64Array(bytes.slice().buffer);
}
