import { Graph, gradients, type Tensor } from '@dd2/autodiff';
import { Dd2Error, type DType, type InputSource, type Program, type ProgramInput, type ProgramSignature, type ProgramStage } from '@dd2/core';
import { layoutOf, slotOf, type NetworkDefinition } from './network-definition.js';
import { Parameters } from './parameters.js';

/** A named value of a program's environment. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

type Repeat = NonNullable<ProgramStage['repeat']>;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Collects inputs, stages, metrics and results of a program, and keeps names, feeds, fetches and offsets in step, so that a
 * program file can be read as mathematics.
 */
export class ProgramBuilder {
  readonly #name: string;
  readonly #batch: number;
  readonly #inputs: ProgramInput[] = [];
  readonly #networks = new Map<string, NetworkDefinition>();
  readonly #stages: ProgramStage[] = [];
  readonly #graphs: Uint8Array[] = [];
  readonly #metrics: Writable<ProgramSignature['metrics'][number]>[] = [];
  readonly #results: Writable<ProgramSignature['results'][number]>[] = [];
  #gradient: ProgramSignature['gradient'];

  /** @param batch samples per micro-batch */
  constructor(name: string, batch: number) {
    if (!Number.isInteger(batch) || batch < 1) throw new Dd2Error('INVALID_ARGUMENT', `a batch of ${batch}`, { field: 'batch', remedy: 'Use a positive integer' });
    this.#name = name;
    this.#batch = batch;
  }

  get batch(): number {
    return this.#batch;
  }

  /** Standard normal draws, float32 [batch, ...row]. */
  normal(name: string, row: readonly number[], draw: { stream?: string; by?: Value } = {}): Value {
    return this.#input(name, 'float32', [this.#batch, ...row], { kind: 'normal', stream: draw.stream ?? name, ...by(draw.by) });
  }

  /** Uniform draws in (0, 1), float32 [batch, ...row]. */
  uniform(name: string, row: readonly number[]): Value {
    return this.#input(name, 'float32', [this.#batch, ...row], { kind: 'uniform', stream: name });
  }

  /** Uniform integers in [0, below), int64 [batch]. */
  integer(name: string, below: number): Value {
    return this.#input(name, 'int64', [this.#batch], { kind: 'integer', stream: name, below });
  }

  /** The sample index, int64 [batch]. */
  index(name: string, modulo?: number): Value {
    return this.#input(name, 'int64', [this.#batch], { kind: 'index', ...(modulo === undefined ? {} : { modulo }) });
  }

  /** Rows of an asset, [batch, ...row]. */
  rows(name: string, asset: string, dtype: DType, row: readonly number[], rowIndex: Value): Value {
    return this.#input(name, dtype, [this.#batch, ...row], { kind: 'rows', asset, by: rowIndex.name });
  }

  /** A whole asset. */
  asset(name: string, dtype: DType, shape: readonly number[]): Value {
    return this.#input(name, dtype, shape, { kind: 'asset', asset: name });
  }

  /** What each micro-batch is given under a name, its own unless told: a result of another program, [batch, ...row]. */
  given(name: string, dtype: DType, row: readonly number[], value = name): Value {
    return this.#input(name, dtype, [this.#batch, ...row], { kind: 'given', value });
  }

  /** State that starts as zeros. */
  zeros(name: string, dtype: DType, shape: readonly number[]): Value {
    return this.#input(name, dtype, shape, { kind: 'zeros' });
  }

  /** The counter of the repeated stage that runs, int64 []. */
  step(): Value {
    return this.#input('step', 'int64', [], { kind: 'step' });
  }

  /** Adds a graph execution; `write` may refer to every value that exists by then. Returns what `write` returns. */
  stage<T>(name: string, write: (stage: Stage) => T, repeat?: Repeat): T {
    const stage = new Stage(name);
    const returned = write(stage);
    const { graph, feeds, fetches, parameters, gradient } = stage.finish();
    for (const { definition } of parameters) this.#networks.set(definition.name, definition);
    this.#gradient = gradient ?? this.#gradient;
    this.#stages.push({ graph: this.#graphs.length, feeds, fetches, ...(repeat ? { repeat } : {}) });
    this.#graphs.push(graph.toOnnx());
    return returned;
  }

  /** Reports a float32 scalar, a mean over the micro-batch. */
  metric(name: string, value: Value): void {
    this.#metrics.push({ name, value: value.name });
  }

  /** Returns a small tensor whole. */
  result(name: string, value: Value): void {
    this.#results.push({ name, value: value.name, dtype: value.dtype, shape: value.shape });
  }

  build(): Program {
    return {
      signature: {
        name: this.#name,
        batch: this.#batch,
        parameters: [...this.#networks.values()].map(layoutOf),
        inputs: this.#inputs,
        stages: this.#stages,
        ...(this.#gradient ? { gradient: this.#gradient } : {}),
        metrics: this.#metrics,
        results: this.#results,
      },
      graphs: this.#graphs,
    };
  }

  #input(name: string, dtype: DType, shape: readonly number[], source: InputSource): Value {
    this.#inputs.push({ name, dtype, shape, source });
    return { name, dtype, shape };
  }
}

const by = (value: Value | undefined): { by?: string } => (value ? { by: value.name } : {});

/** One graph of a program while it is written. */
export class Stage {
  readonly graph: Graph;
  readonly #feeds: Record<string, string> = {};
  readonly #fetches: Record<string, string> = {};
  readonly #values = new Map<string, Tensor>();
  readonly #parameters = new Map<string, Parameters>();
  #gradient: ProgramSignature['gradient'];

  constructor(name: string) {
    this.graph = new Graph(name);
  }

  /** The value as a tensor of this graph. */
  value(value: Value): Tensor {
    const known = this.#values.get(value.name);
    if (known) return known;
    const tensor = this.graph.input(value.name, value.shape, value.dtype);
    this.#values.set(value.name, tensor);
    this.#feeds[value.name] = value.name;
    return tensor;
  }

  /** The network's parameters as inputs of this graph. */
  parameters(definition: NetworkDefinition): Parameters {
    const known = this.#parameters.get(definition.name);
    if (known) return known;
    const parameters = new Parameters(this.graph, definition);
    this.#parameters.set(definition.name, parameters);
    return parameters;
  }

  /** Writes a tensor to the environment: a new value, or the next content of an existing one of the same name. */
  fetch(name: string, tensor: Tensor): Value {
    const output = `out/${name}`;
    this.graph.output(output, tensor);
    this.#fetches[output] = name;
    return { name, dtype: tensor.dtype, shape: tensor.shape };
  }

  /** Differentiates a scalar loss by the trainable tensors of one network: the gradient of the program. */
  gradient(loss: Tensor, parameters: Parameters): void {
    const { layout } = parameters;
    const trainable = parameters.trainable();
    const derivatives = gradients(loss, trainable.map(({ tensor }) => tensor));
    const tensors = trainable.flatMap(({ definition }, i) => {
      const derivative = derivatives[i];
      if (!derivative) throw new Dd2Error('INTERNAL', `no gradient for ${layout.network}/${definition.name}`);
      const { offset, size } = slotOf(layout, definition.name);
      return { value: this.fetch(`gradient/${definition.name}`, derivative).name, offset, size };
    });
    this.#gradient = { network: layout.network, size: layout.size, tensors };
  }

  finish() {
    const parameters = [...this.#parameters.values()];
    const parameterFeeds = parameters.flatMap(({ definition, used }) => used.map((name) => `${definition.name}/${name}`));
    return {
      graph: this.graph,
      feeds: { ...this.#feeds, ...Object.fromEntries(parameterFeeds.map((name) => [name, name])) },
      fetches: this.#fetches,
      parameters,
      gradient: this.#gradient,
    };
  }
}
