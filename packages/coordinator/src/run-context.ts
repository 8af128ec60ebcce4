import { join } from 'node:path';
import type { HostTensor, ParameterLayout, RunSpec } from '@dd2/core';
import { arDiffusionNetwork, layoutOf, type ModelConfig } from '@dd2/models';
import { encodeTensor } from '@dd2/proto';
import { Aggregators } from './aggregators.js';
import type { ContentStore } from './content-store.js';
import { executionKind } from './execution-kind.js';
import type { Dispatcher, Job } from './dispatcher.js';
import type { LocalExchange } from './local-exchange.js';
import type { ModelBundle } from './model-bundle.js';
import { ParameterStore, writeFlat, type PublishedParameters } from './parameter-store.js';
import { Programs, type ServedProgram } from './programs.js';
import type { RunFolder } from './run-folder.js';
import type { RunProgress } from './run-state.js';

/** Everything that advancing one run needs; owned by the run, closed with it. */
export class RunContext {
  readonly layout: ParameterLayout;
  readonly aggregators: Aggregators;
  readonly parameters: ParameterStore;
  readonly programs: Programs;
  readonly progress: RunProgress = { update: 0, versions: { generator: 0, guidance: 0 }, skippedUpdates: 0, skippedInARow: 0 };
  readonly #assets = new Map<string, string>();

  constructor(
    readonly folder: RunFolder,
    readonly spec: RunSpec,
    readonly bundle: ModelBundle,
    readonly model: ModelConfig,
    readonly dispatcher: Dispatcher,
    readonly contents: ContentStore,
    exchange: LocalExchange,
    /**
     * Under which workers find this context's parameters. Unique: a run that is continued from an older checkpoint counts
     * its parameter versions anew, and a worker must not take a version of its former life for the one of now.
     */
    readonly namespace: string,
  ) {
    this.layout = layoutOf(arDiffusionNetwork(model, 'generator'));
    this.aggregators = new Aggregators(this.layout.size);
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

  /** Makes the current parameters of a network available to workers under its version. */
  async publish(network: 'generator' | 'guidance'): Promise<void> {
    await this.parameters.publish(network, this.progress.versions[network], this.layout.size, (path) => this.aggregators.write(network, path));
  }

  /** The moving average of the generator as it is now; later updates do not change it. */
  async snapshotAverage(): Promise<PublishedParameters> {
    return this.parameters.publish('generator_ema', this.progress.versions.generator, this.layout.size, (path) => this.aggregators.write('generator_ema', path));
  }

  /** What a job needs to name: the program, the latest (or the given) parameters, the assets. */
  bind({ id, program }: ServedProgram, given: Readonly<Record<string, PublishedParameters>> = {}): Pick<Job, 'runId' | 'programId' | 'execution' | 'parameters' | 'assets'> {
    const parameters = program.signature.parameters.map(({ network }) => [network, given[network] ?? this.parameters.latest(network)] as const);
    const names = program.signature.inputs.flatMap(({ source }) => (source.kind === 'rows' || source.kind === 'asset' ? [source.asset] : []));
    return {
      runId: this.namespace,
      programId: id,
      execution: executionKind(this.spec.execution),
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
    await this.aggregators.terminate();
    await this.parameters.close();
    this.contents.release(this.namespace);
  }
}
