import { listCheckpoints, loadCheckpoint, ModelBundle, modelConfig, RunFolder } from '@dd2/coordinator';
import { encodeGridPng } from '@dd2/assets';
import { Dd2Error, parseRunSpec, type HostTensor, type RunSpec } from '@dd2/core';
import { Engine } from '@dd2/engine';
import { arDiffusionNetwork, layoutOf, sampleImagesProgram, type Sampler } from '@dd2/models';
import { publish } from './prepare/local-trainer.js';
import { tensor } from './prepare/measure.js';

export interface SampleOptions {
  readonly dataDir: string;
  readonly runId: string;
  /** checkpoint; the newest unless told */
  readonly update?: number | undefined;
  readonly sampler: Sampler;
  /** image i is of class i modulo the number of classes */
  readonly count: number;
  readonly seed: number;
  /** how often to make the same images, for measuring; once unless told */
  readonly repetitions?: number;
}

export interface SampledImages {
  /** [count, 28, 28] */
  readonly images: HostTensor<'uint8'>;
  /** the checkpoint they come from */
  readonly update: number;
  /** a grid, ten images a row, as PNG */
  readonly png: Uint8Array;
  /** time of each repetition */
  readonly milliseconds: readonly number[];
}

const columns = 10;

/**
 * Makes images with the averaged generator of a checkpoint, in this process and from the run's folder: no cluster is needed.
 * @throws {Dd2Error} RUN_NOT_FOUND, CHECKPOINT_CORRUPT, ASSET_MISSING
 */
export async function sampleImages({ dataDir, runId, update, sampler, count, seed, repetitions = 1 }: SampleOptions): Promise<SampledImages> {
  const folder = new RunFolder(dataDir, runId);
  const spec = await readSpec(folder);
  const bundle = await ModelBundle.open(spec.assets);
  const model = modelConfig(bundle.manifest, spec.model);
  const checkpoint = update ?? (await listCheckpoints(folder))[0];
  if (checkpoint === undefined) throw new Dd2Error('CHECKPOINT_CORRUPT', 'the run has no checkpoint yet', { field: runId, remedy: 'Wait for its first checkpoint' });
  const { vectors } = await loadCheckpoint(folder, layoutOf(arDiffusionNetwork(model, 'generator')), checkpoint);
  const { teacher, tokenizer, classifier } = bundle;
  const networks: Readonly<Record<string, Float32Array>> = { generator: vectors.generator_ema, teacher, tokenizer, classifier };

  const program = sampleImagesProgram(model, sampler, { batch: count });
  const { name, inputs, parameters } = program.signature;
  const engine = await Engine.start(spec.execution);
  try {
    for (const { network } of parameters) {
      const vector = networks[network];
      if (!vector) throw new Dd2Error('UNSUPPORTED_OPERATION', `sampling does not know the network ${network}`, { field: network });
      publish(engine, network, vector);
    }
    for (const { source } of inputs) {
      if (source.kind === 'rows' || source.kind === 'asset') engine.setAsset(source.asset, bundle.asset(source.asset));
    }
    await engine.loadProgram(name, program);
    const task = { program: name, seed, update: 0, microBatches: [{ index: 0 }], parameters: Object.fromEntries(parameters.map(({ network }) => [network, network])) };
    let result = await engine.execute(task);
    const milliseconds = [result.computeMs];
    while (milliseconds.length < repetitions) {
      result = await engine.execute(task);
      milliseconds.push(result.computeMs);
    }
    const images = tensor(result.results[0] ?? {}, 'images', 'uint8');
    return { images, update: checkpoint, png: encodeGridPng(images, columns), milliseconds };
  } finally {
    await engine.close();
  }
}

async function readSpec(folder: RunFolder): Promise<RunSpec> {
  const text = await folder.read('spec.yaml');
  if (text !== undefined) return parseRunSpec(text);
  throw new Dd2Error('RUN_NOT_FOUND', `there is no run in ${folder.path}`, { field: folder.runId, remedy: 'Name its data folder with --data-dir' });
}
