import { setImmediate as othersGo } from 'node:timers/promises';
import { fidStandardError, frechetDistance, meanAndCovariance, mergeStatistics, emptyStatistics, Dd2Error, type HostTensor, type SufficientStatistics } from '@dd2/core';
import { encodeGridPng } from '@dd2/assets';
import { featureSize, type Sampler } from '@dd2/models';
import type { MicroBatchOutcome } from './dispatcher.js';
import type { PublishedParameters } from './parameter-store.js';
import type { ModelContext } from './model-context.js';
import { runProgram } from './run-program.js';

/** Images that one lease of an evaluation makes: enough to be efficient, few enough not to delay an update. */
const LARGEST_BATCH = 250;
const GRID_IMAGES = 100;

/** One measurement: which sampler, of which generator, with which noise. */
export interface Measurement {
  readonly sampler: Sampler;
  readonly samples: number;
  /** seed of the noise; the same seed gives the same noise to every checkpoint */
  readonly noiseSeed: number;
  /** the generator to measure */
  readonly generator: PublishedParameters;
  /** updates that are committed in that generator */
  readonly update: number;
  readonly generatorUpdates: number;
}

/** A measurement with all that decides about its value: figures of different provenance are not comparable. */
export interface EvaluationRecord {
  readonly update: number;
  readonly generatorUpdates: number;
  readonly sampler: string;
  readonly fid: number;
  /** of `fid`, from the finite number of samples, see `fidStandardError`; absent when they are too few to tell, or no sample was drawn */
  readonly fidStandardError?: number | undefined;
  readonly samples: number;
  /** samples asked for of each class */
  readonly classCounts: readonly number[];
  /** fraction that the feature network assigns to the class asked for */
  readonly accuracy: number;
  readonly noiseSeed: number;
  readonly featureNetworkSha256: string;
  readonly referenceSha256: string;
  /** execution time of sampling, decoding and scoring on one worker, divided by the samples */
  readonly millisecondsPerImage: number;
  readonly seconds: number;
}

/** Measures a sampler on the workers: they return sufficient statistics, merged here in float64 in a fixed order. */
export async function evaluate(run: ModelContext, request: Measurement, signal: AbortSignal): Promise<EvaluationRecord> {
  const started = performance.now();
  const { sampler, samples } = request;
  if (sampler.kind === 'reconstruction' && samples > run.bundle.testImages) {
    throw new Dd2Error('INVALID_ARGUMENT', `reconstruction can use at most the ${run.bundle.testImages} test images`, { field: 'samples', remedy: 'Ask for fewer samples' });
  }
  const batch = largestDivisor(samples, LARGEST_BATCH);
  const outcome = await runProgram(
    run,
    run.programs.evaluation(sampler, batch),
    {
      parameters: { generator: request.generator },
      seed: request.noiseSeed,
      update: 0,
      firstSample: 0,
      microBatches: samples / batch,
      blocks: 'single',
      priority: 1,
    },
    signal,
  );
  const parts = outcome.microBatches.map(statisticsOf);
  const statistics = parts.reduce(mergeStatistics, emptyStatistics(featureSize));
  const correct = outcome.microBatches.reduce((total, { results }) => total + scalar(results, 'correct'), 0);
  const fid = frechetDistance(meanAndCovariance(statistics), run.bundle.reference);
  const seconds = (performance.now() - started) / 1000;
  return {
    update: request.update,
    generatorUpdates: request.generatorUpdates,
    sampler: samplerName(sampler),
    fid,
    ...(await standardError(sampler, parts, run, signal)),
    samples: statistics.count,
    classCounts: classCounts(run, sampler, samples),
    accuracy: correct / statistics.count,
    noiseSeed: request.noiseSeed,
    featureNetworkSha256: run.bundle.sha256('classifier.safetensors'),
    referenceSha256: run.bundle.sha256('reference.safetensors'),
    millisecondsPerImage: outcome.totalComputeMs / samples,
    seconds,
  };
}

/** Reconstructions are made of the very images that the reference was: what they scatter is no measure of anything. */
async function standardError({ kind }: Sampler, parts: readonly SufficientStatistics[], run: ModelContext, signal: AbortSignal): Promise<Pick<EvaluationRecord, 'fidStandardError'>> {
  if (kind === 'reconstruction') return {};
  const error = await fidStandardError(parts, run.bundle.reference, async () => {
    await othersGo(); // updates and sessions, which this thread serves as well
    signal.throwIfAborted();
  });
  return error === undefined ? {} : { fidStandardError: error };
}

/** A grid of images as PNG, ten columns, one class per column; the same seed gives each cell the same noise. */
export async function sampleGrid(run: ModelContext, request: Measurement, signal: AbortSignal): Promise<Uint8Array> {
  const outcome = await runProgram(
    run,
    run.programs.images(request.sampler, GRID_IMAGES),
    {
      parameters: { generator: request.generator },
      seed: request.noiseSeed,
      update: 0,
      firstSample: 0,
      microBatches: 1,
      blocks: 'single',
      priority: 1,
    },
    signal,
  );
  const images = outcome.microBatches[0]?.results['images'];
  if (images?.dtype !== 'uint8') throw new Dd2Error('INTERNAL', 'the image program returned no images', { field: 'images' });
  return encodeGridPng(images as HostTensor<'uint8'>, 10);
}

/** `one-step`, `teacher`, `multi-step-8`, ...: how a sampler is written in files and on the command line. */
export function samplerName(sampler: Sampler): string {
  return sampler.kind === 'multi-step' ? `multi-step-${sampler.keep}` : sampler.kind;
}

/** @throws {Dd2Error} INVALID_ARGUMENT for a name that no sampler has */
export function parseSampler(name: string, tokens: number): Sampler {
  const keep = /^multi-step-(\d+)$/.exec(name)?.[1];
  if (keep !== undefined && Number(keep) >= 1 && Number(keep) < tokens) return { kind: 'multi-step', keep: Number(keep) };
  if (name === 'one-step' || name === 'teacher' || name === 'naive' || name === 'reconstruction') return { kind: name };
  throw new Dd2Error('INVALID_ARGUMENT', `there is no sampler "${name}"`, {
    field: 'samplers',
    remedy: `Use one-step, teacher, naive, reconstruction or multi-step-K with K from 1 to ${tokens - 1}`,
  });
}

function statisticsOf({ results }: MicroBatchOutcome): SufficientStatistics {
  const sum = results['features.sum'];
  const outer = results['features.outer'];
  if (sum?.dtype !== 'float64' || outer?.dtype !== 'float64') throw new Dd2Error('INTERNAL', 'the evaluation program returned no feature statistics', { field: 'features' });
  return { count: scalar(results, 'count'), sum: sum.data as Float64Array, outer: outer.data as Float64Array };
}

function scalar(results: MicroBatchOutcome['results'], name: string): number {
  return Number(results[name]?.data[0] ?? NaN);
}

function classCounts(run: ModelContext, sampler: Sampler, samples: number): number[] {
  const { classes } = run.model;
  if (sampler.kind === 'reconstruction') return run.bundle.testClassCounts(samples);
  return Array.from({ length: classes }, (_, label) => Math.floor(samples / classes) + (label < samples % classes ? 1 : 0));
}

/** The largest divisor of `value` that is at most `limit`. */
function largestDivisor(value: number, limit: number): number {
  for (let divisor = Math.min(value, limit); divisor > 1; divisor--) if (value % divisor === 0) return divisor;
  return 1;
}
