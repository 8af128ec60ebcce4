import { Dd2Error } from '@dd2/core';
import { listCheckpoints, loadCheckpoint } from './checkpoint.js';
import { evaluate, parseSampler, samplerName, type EvaluationRecord } from './evaluate.js';
import { writeFlat } from './parameter-store.js';
import type { RunContext } from './run-context.js';

/** As many noise seeds and samples as a run spec may ask for. */
const MAX_SAMPLES = 1_000_000;
const MAX_NOISE_SEED = 2 ** 48;
const MAX_SAMPLERS = 64;

export interface CheckpointEvaluation {
  /** the newest checkpoint unless told */
  readonly update?: number | undefined;
  readonly samplers: readonly string[];
  /** the run spec's number unless told */
  readonly samples?: number | undefined;
  /** unless told, the one of the evaluation at the end of the run */
  readonly noiseSeed?: number | undefined;
}

/** What is being measured, before it is, and what came out. */
export type EvaluationStep = { readonly sampler: string; readonly samples: number } | EvaluationRecord;

/**
 * Measures a checkpoint's moving average with several samplers, one after the other, in a context of its own.
 * @throws {Dd2Error} INVALID_ARGUMENT before anything is measured; CHECKPOINT_CORRUPT when there is none to measure
 */
export async function* evaluateCheckpoint(context: RunContext, request: CheckpointEvaluation, signal: AbortSignal): AsyncGenerator<EvaluationStep, void> {
  const { folder, spec, bundle, layout } = context;
  const samples = request.samples ?? spec.evaluation.finalSamples;
  const noiseSeed = request.noiseSeed ?? spec.evaluation.noiseSeed + 1;
  requireAtMost(samples, MAX_SAMPLES, 'samples');
  requireAtMost(noiseSeed, MAX_NOISE_SEED, 'noise_seed');
  requireAtMost(request.samplers.length, MAX_SAMPLERS, 'samplers');
  const samplers = request.samplers.map((name) => parseSampler(name, bundle.manifest.model.tokens));
  const update = request.update ?? (await listCheckpoints(folder))[0];
  if (update === undefined) throw new Dd2Error('CHECKPOINT_CORRUPT', `run ${folder.runId} has no checkpoint yet`, { field: 'update', remedy: 'Wait for its first checkpoint' });
  const { manifest, vectors } = await loadCheckpoint(folder, layout, update);
  const generator = await context.parameters.publish('generator_ema', manifest.versions.generator, layout.size, writeFlat(vectors.generator_ema));
  for (const sampler of samplers) {
    yield { sampler: samplerName(sampler), samples };
    yield await evaluate(context, { sampler, samples, noiseSeed, generator, update, generatorUpdates: manifest.generatorUpdates }, signal);
  }
}

function requireAtMost(value: number, limit: number, field: string): void {
  if (value > limit) throw new Dd2Error('INVALID_ARGUMENT', `${value} is more than the allowed ${limit}`, { field, remedy: `Use at most ${limit}` });
}
