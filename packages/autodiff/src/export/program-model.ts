import { create } from '@bufbuild/protobuf';
import { Dd2Error, typedArrays, type HostTensor, type Program, type ProgramInput, type ProgramStage } from '@dd2/core';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  ValueInfoProtoSchema,
  type GraphProto,
  type NodeProto,
  type ValueInfoProto,
} from '../gen/onnx_pb.js';
import { dtypeOf, encodeAttribute, irVersion, onnxDataType, opsetVersion } from '../onnx-model.js';
import type { Attributes } from '../operation.js';
import type { DType } from '../tensor.js';
import { BATCH, freeBatch, type Dimension, type FreeBatchProgram } from './free-batch.js';
import { encodeModelBytes, type ModelBytes } from './model-bytes.js';

export interface ProgramModelOptions {
  readonly name: string;
  /** version of the product that writes it */
  readonly version: string;
  /** for people who open the file */
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** flat vectors of the networks that the program is fed */
  readonly parameters: Readonly<Record<string, Float32Array>>;
  /** tensors that the program is fed whole */
  readonly assets?: Readonly<Record<string, HostTensor>>;
  /** results that become outputs, in this order */
  readonly outputs: readonly string[];
  /** what inputs and outputs mean, by name */
  readonly meanings?: Readonly<Record<string, string>>;
}

/**
 * One self-contained ONNX model of a program: parameters and assets are initializers, stages follow each other under names of their
 * own, a repeated stage is a Loop, zeros are made. What is drawn for each sample remains an input; its first dimension, `batch`, is free.
 * @param build the program for a batch
 * @throws {Dd2Error} UNSUPPORTED_OPERATION when the program cannot be one model, or not one file
 */
export function encodeProgramModel(build: (batch: number) => Program, options: ProgramModelOptions): ModelBytes {
  const model = new ProgramModel(freeBatch(build), options);
  return model.encode();
}

/** A stage that is added: its graph, and the prefix that keeps its names apart from those of other stages. */
interface StageParts {
  readonly stage: ProgramStage;
  readonly graph: GraphProto;
  readonly prefix: string;
}

class ProgramModel {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers = new Map<string, HostTensor>();
  readonly #inputs: ProgramInput[] = [];
  /** the tensor that holds each value of the program at this point */
  readonly #tensors = new Map<string, string>();

  constructor(
    private readonly program: FreeBatchProgram,
    private readonly options: ProgramModelOptions,
  ) {}

  encode(): ModelBytes {
    const { name, version, description, metadata } = this.options;
    const { signature, graphs } = this.program;
    for (const input of signature.inputs) this.#addInput(input);
    this.#addParameters();
    signature.stages.forEach((stage, i) => {
      const graph = graphs[stage.graph];
      if (graph) this.#addStage({ stage, graph, prefix: `${i}.${graph.name}/` });
    });
    const output = this.options.outputs.map((result) => this.#addOutput(result));
    const nodes = neededFor(output.map((port) => port.name), this.#nodes);
    const read = new Set(nodes.flatMap(readBy));
    const graph = create(GraphProtoSchema, {
      name,
      node: nodes,
      input: this.#inputs.filter((input) => read.has(input.name)).map((input) => this.#port(input)),
      output,
    });
    const model = create(ModelProtoSchema, {
      irVersion,
      producerName: 'dd2',
      producerVersion: version,
      docString: description,
      opsetImport: [{ domain: '', version: opsetVersion }],
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    });
    return encodeModelBytes(model, graph, new Map([...this.#initializers].filter(([tensor]) => read.has(tensor))));
  }

  #addInput(input: ProgramInput): void {
    const { name, source } = input;
    switch (source.kind) {
      case 'normal':
      case 'uniform':
      case 'integer':
      case 'index':
      case 'given':
        this.#inputs.push(input);
        this.#tensors.set(name, name);
        break;
      case 'asset': {
        const asset = this.options.assets?.[source.asset];
        if (!asset) throw new Dd2Error('INVALID_ARGUMENT', 'an asset that the program needs was not given', { field: source.asset });
        this.#tensors.set(name, this.#initializer(name, asset));
        break;
      }
      case 'zeros':
        this.#tensors.set(name, this.#addZeros(input));
        break;
      case 'step':
        break; // each repeated stage counts for itself
      case 'rows':
        throw new Dd2Error('UNSUPPORTED_OPERATION', 'a program that reads rows of a data set cannot be exported as one model', { field: name });
    }
  }

  #addParameters(): void {
    for (const { network, size, tensors } of this.program.signature.parameters) {
      const vector = this.options.parameters[network];
      if (vector?.length !== size) throw new Dd2Error('INVALID_ARGUMENT', `the parameters of ${network} were not given, or are not ${size} numbers`, { field: network });
      for (const { name, shape, offset, size: length } of tensors) {
        const value = `${network}/${name}`;
        this.#tensors.set(value, this.#initializer(value, { dtype: 'float32', shape, data: vector.subarray(offset, offset + length) }));
      }
    }
  }

  /** Zeros of the batch that the inputs have. */
  #addZeros({ name, dtype, shape }: ProgramInput): string {
    const zero = this.#initializer(`${name}/zero`, { dtype, shape: [], data: new typedArrays[dtype](1) });
    const dimensions = this.program.shapeOf(shape);
    const sizes = dimensions.map((size, axis) => (size === BATCH ? this.#batchSize() : this.#integers(`${name}/size.${axis}`, [size])));
    const target = this.#add('Concat', sizes, `${name}/shape`, { axis: { int: 0 } });
    return this.#add('Expand', [zero, target], `${name}/zeros`);
  }

  /** The batch of this call, int64 [1]. */
  #batchSize(): string {
    const [first] = this.#inputs;
    if (!first) throw new Dd2Error('UNSUPPORTED_OPERATION', 'a program without an input for each sample cannot be exported for every batch');
    const name = 'batch size';
    if (!this.#nodes.some(({ output }) => output[0] === name)) this.#add('Shape', [first.name], name, { start: { int: 0 }, end: { int: 1 } });
    return name;
  }

  #addStage(parts: StageParts): void {
    const { stage, graph, prefix } = parts;
    if (stage.repeat) return this.#addLoop(parts, stage.repeat);
    const feeds = Object.entries(stage.feeds).map(([input, value]): [string, string] => [input, this.#tensor(value)]);
    this.#nodes.push(...this.#nodesOf(graph, prefix, new Map(feeds)));
    for (const [output, value] of Object.entries(stage.fetches)) this.#tensors.set(value, `${prefix}${output}`);
  }

  /** The steps of a repeated stage as one Loop that carries the values which the stage writes. */
  #addLoop({ stage, graph, prefix }: StageParts, { from, to }: NonNullable<ProgramStage['repeat']>): void {
    const carried = Object.entries(stage.fetches).map(([output, value]) => ({ output, value, initial: this.#tensor(value), before: `${prefix}before/${value}` }));
    const [iteration, step, condition, next] = ['iteration', 'step', 'condition', 'next condition'].map((name) => `${prefix}${name}`) as [string, string, string, string];
    const feeds = Object.entries(stage.feeds).map(([input, value]): [string, string] => {
      if (this.#isStep(value)) return [input, step];
      return [input, carried.find((one) => one.value === value)?.before ?? this.#tensor(value)];
    });
    const portOf = (output: string, name: string): ValueInfoProto => renamed(graph.output.find((known) => known.name === output), name);
    const body = create(GraphProtoSchema, {
      name: graph.name,
      node: [
        node('Add', [iteration, this.#integers(`${prefix}from`, from)], step),
        node('Identity', [condition], next),
        ...this.#nodesOf(graph, prefix, new Map(feeds)),
      ],
      input: [port(iteration, 'int64', []), port(condition, 'bool', []), ...carried.map(({ output, before }) => portOf(output, before))],
      output: [port(next, 'bool', []), ...carried.map(({ output }) => portOf(output, `${prefix}${output}`))],
    });
    const steps = this.#integers(`${prefix}steps`, to - from);
    const start = this.#initializer(`${prefix}start`, { dtype: 'bool', shape: [], data: Uint8Array.of(1) });
    const loop = node('Loop', [steps, start, ...carried.map(({ initial }) => initial)], '');
    loop.output = carried.map(({ output }) => `${prefix}after/${output}`);
    loop.attribute = [create(AttributeProtoSchema, { name: 'body', type: AttributeType.GRAPH, g: body })];
    this.#nodes.push(loop);
    carried.forEach(({ value }, i) => this.#tensors.set(value, loop.output[i] ?? ''));
  }

  /** The nodes of a stage's graph, reading the tensors that are fed to its inputs; every other name gets the prefix. */
  #nodesOf(graph: GraphProto, prefix: string, feeds: ReadonlyMap<string, string>): NodeProto[] {
    for (const { name, dims, dataType, rawData } of graph.initializer) {
      const dtype = dtypeOf(dataType);
      const shape = dims.map(Number);
      const data = new typedArrays[dtype](shape.reduce((product, size) => product * size, 1));
      new Uint8Array(data.buffer).set(rawData);
      this.#initializer(`${prefix}${name}`, { dtype, shape, data });
    }
    const rename = (name: string): string => (name === '' ? '' : (feeds.get(name) ?? `${prefix}${name}`));
    return graph.node.map(({ name, opType, input, output, attribute }) =>
      create(NodeProtoSchema, { name: `${prefix}${name}`, opType, input: input.map(rename), output: output.map(rename), attribute }),
    );
  }

  /** A result of the program as an output of the model. */
  #addOutput(name: string): ValueInfoProto {
    const result = this.program.signature.results.find((known) => known.name === name);
    if (!result) throw new Dd2Error('INVALID_ARGUMENT', `the program ${this.program.signature.name} has no result "${name}"`, { field: name });
    this.#add('Identity', [this.#tensor(result.value)], name);
    return this.#port(result);
  }

  #tensor(value: string): string {
    const tensor = this.#tensors.get(value);
    if (tensor !== undefined) return tensor;
    throw new Dd2Error('UNSUPPORTED_OPERATION', 'a value is read, or carried from step to step, that nothing has written before', { field: value });
  }

  #isStep(value: string): boolean {
    return this.program.signature.inputs.some(({ name, source }) => name === value && source.kind === 'step');
  }

  #initializer(name: string, tensor: HostTensor): string {
    this.#initializers.set(name, tensor);
    return name;
  }

  /** int64, a scalar or a row. */
  #integers(name: string, values: number | readonly number[]): string {
    const row = typeof values === 'number' ? [values] : values;
    return this.#initializer(name, { dtype: 'int64', shape: typeof values === 'number' ? [] : [row.length], data: BigInt64Array.from(row, BigInt) });
  }

  #add(opType: string, input: readonly string[], output: string, attributes: Attributes = {}): string {
    this.#nodes.push(node(opType, input, output, attributes));
    return output;
  }

  #port({ name, dtype, shape }: { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }): ValueInfoProto {
    return port(name, dtype, this.program.shapeOf(shape), this.options.meanings?.[name]);
  }
}

function node(opType: string, input: readonly string[], output: string, attributes: Attributes = {}): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value));
  return create(NodeProtoSchema, { name: `${opType} ${output}`, opType, input: [...input], output: [output], attribute });
}

function port(name: string, dtype: DType, shape: readonly Dimension[], meaning = ''): ValueInfoProto {
  const dim = shape.map((size) => (size === BATCH ? { dimParam: BATCH } : { dimValue: BigInt(size) }));
  return create(ValueInfoProtoSchema, { name, docString: meaning, type: { tensorType: { elemType: onnxDataType(dtype), shape: { dim } } } });
}

function renamed(known: ValueInfoProto | undefined, name: string): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name, ...(known?.type ? { type: known.type } : {}) });
}

/** The nodes that the outputs need, in their order. */
function neededFor(outputs: readonly string[], nodes: readonly NodeProto[]): NodeProto[] {
  const needed = new Set(outputs);
  const kept: NodeProto[] = [];
  for (const one of nodes.toReversed()) {
    if (!one.output.some((name) => needed.has(name))) continue;
    kept.unshift(one);
    for (const name of readBy(one)) needed.add(name);
  }
  return kept;
}

/** The tensors that a node reads, from within the body of a loop as well. */
function readBy({ input, attribute }: NodeProto): string[] {
  return [...input, ...attribute.flatMap(({ g }) => g?.node.flatMap(readBy) ?? [])];
}
