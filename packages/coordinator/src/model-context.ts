import { join } from 'node:path';
import type { HostTensor, ParameterLayout, RunSpec } from '@dd2/core';
import { arDiffusionNetwork, layoutOf, type ModelConfig } from '@dd2/models';
import { encodeTensor } from '@dd2/proto';
import type { ContentStore } from './content-store.js';
import { executionKind } from './execution-kind.js';
import type { Dispatcher, Job } from './dispatcher.js';
import type { LocalExchange } from './local-exchange.js';
import type { ModelBundle } from './model-bundle.js';
import { ParameterStore, writeFlat, type PublishedParameters } from './parameter-store.js';
import { Programs, type ServedProgram } from './programs.js';
import type { RunFolder } from './run-folder.js';

export interface ModelContextOptions {
  readonly folder: RunFolder;
  readonly spec: RunSpec;
  readonly bundle: ModelBundle;
  readonly model: ModelConfig;
  readonly dispatcher: Dispatcher;
  readonly contents: ContentStore;
  readonly exchange: LocalExchange;
  /**
   * Under which workers find this context's parameters. Unique: a run that is continued from an older checkpoint counts
   * its parameter versions anew, and a worker must not take a version of its former life for the one of now.
   */
  readonly namespace: string;
}

/** A run's frozen networks, programs and assets, as workers are served them: what an evaluation needs. */
export class ModelContext {
  readonly folder: RunFolder;
  readonly spec: RunSpec;
  readonly bundle: ModelBundle;
  readonly model: ModelConfig;
  readonly dispatcher: Dispatcher;
  readonly contents: ContentStore;
  readonly namespace: string;
  /** of generator, its moving average and guidance network alike */
  readonly layout: ParameterLayout;
  readonly parameters: ParameterStore;
  readonly programs: Programs;
  readonly #assets = new Map<string, string>();

  constructor({ folder, spec, bundle, model, dispatcher, contents, exchange, namespace }: ModelContextOptions) {
    this.folder = folder;
    this.spec = spec;
    this.bundle = bundle;
    this.model = model;
    this.dispatcher = dispatcher;
    this.contents = contents;
    this.namespace = namespace;
    this.layout = layoutOf(arDiffusionNetwork(model, 'generator'));
    this.programs = new Programs(spec, model, bundle.assets['train.tokens'].shape[0] ?? 0, contents, namespace);
    this.parameters = new ParameterStore(join(exchange.folder, namespace));
  }

  /** Makes the frozen networks available to workers; before anything else. */
  async open(): Promise<this> {
    try {
      await this.parameters.open();
      for (const network of ['teacher', 'tokenizer', 'classifier'] as const) {
        await this.parameters.publish(network, 1, this.bundle[network].length, writeFlat(this.bundle[network]));
      }
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** What a job needs to name: the program and who may compute it, the latest (or the given) parameters, the assets. */
  bind(served: ServedProgram, given: Readonly<Record<string, PublishedParameters>> = {}): Pick<Job, 'runId' | 'programId' | 'signature' | 'execution' | 'pool' | 'parameters' | 'assets'> {
    const { id, program, placement } = served;
    const parameters = program.signature.parameters.map(({ network }) => [network, given[network] ?? this.parameters.latest(network)] as const);
    const names = program.signature.inputs.flatMap(({ source }) => (source.kind === 'rows' || source.kind === 'asset' ? [source.asset] : []));
    const { execution, teacher } = this.spec;
    return {
      runId: this.namespace,
      programId: id,
      signature: program.signature,
      execution: executionKind(placement === 'pool' ? (teacher?.execution ?? execution) : execution),
      ...(placement === 'pool' ? { pool: 'teacher' as const } : {}),
      parameters: Object.fromEntries(parameters),
      assets: Object.fromEntries(names.map((name) => [name, this.#asset(name)])),
    };
  }

  /** Serves a tensor that this run has computed, under an asset name. */
  serve(name: string, tensor: HostTensor): void {
    this.#assets.set(name, this.contents.put(encodeTensor(tensor), this.namespace));
  }

  #asset(name: string): string {
    const known = this.#assets.get(name);
    if (known !== undefined) return known;
    this.serve(name, this.bundle.asset(name));
    return this.#asset(name);
  }

  async close(): Promise<void> {
    await this.folder.settled();
    await this.parameters.close();
    this.dispatcher.forget({ runId: this.namespace, contents: this.contents.release(this.namespace) });
  }
}
