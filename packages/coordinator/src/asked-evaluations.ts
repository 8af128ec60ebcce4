import { Dd2Error } from '@dd2/core';
import { listCheckpoints } from './checkpoint.js';
import { parseSampler, type EvaluationRecord } from './evaluate.js';
import type { ManagedRun } from './managed-run.js';
import { ModelBundle } from './model-bundle.js';
import { failureOf, type RunEvaluations } from './run-evaluations.js';

export interface AskedEvaluation {
  /** the newest checkpoint unless told */
  readonly update?: number | undefined;
  readonly samplers: readonly string[];
  /** the run spec's number unless told */
  readonly samples?: number | undefined;
  /** unless told, the one of the evaluation at the end of the run */
  readonly noiseSeed?: number | undefined;
}

/** What is being measured, before it is, and what came out. */
export type EvaluationStep = { readonly id: string; readonly sampler: string; readonly samples: number } | ({ readonly id: string } & EvaluationRecord);

/** As many samplers, samples and noise seeds as a run spec may ask for. */
const MAX_SAMPLERS = 64;
const MAX_SAMPLES = 1_000_000;
const MAX_NOISE_SEED = 2 ** 48;

/**
 * Queues measurements of a checkpoint, one for each sampler, and tells each as it starts and as it is done. They go on when
 * nobody listens any more; one that was made before is told at once.
 * @throws {Dd2Error} INVALID_ARGUMENT, CHECKPOINT_CORRUPT before anything is measured; what an evaluation failed with
 */
export async function* askForEvaluations(run: ManagedRun, asked: AskedEvaluation, signal: AbortSignal): AsyncGenerator<EvaluationStep, void> {
  const { spec, evaluations, host } = run;
  const samples = asked.samples ?? spec.evaluation.finalSamples;
  const noiseSeed = asked.noiseSeed ?? spec.evaluation.noiseSeed + 1;
  requireAtMost(samples, MAX_SAMPLES, 'samples');
  requireAtMost(noiseSeed, MAX_NOISE_SEED, 'noise_seed');
  requireAtMost(asked.samplers.length, MAX_SAMPLERS, 'samplers');
  const bundle = await ModelBundle.open(spec.assets);
  for (const name of asked.samplers) {
    const sampler = parseSampler(name, bundle.manifest.model.tokens);
    if (sampler.kind === 'reconstruction') requireAtMost(samples, bundle.testImages, 'samples');
  }
  const update = await chooseCheckpoint(run, asked.update);
  // The same question has the same answer.
  const requests = asked.samplers.map((sampler) => ({ id: `${update}-${sampler}-${samples}-${noiseSeed}`, update, sampler, samples, noiseSeed, purpose: 'asked' as const }));
  run.adopted = true;
  for (const request of requests) await evaluations.request(request);
  host.reconcileSoon();
  for (const { id, sampler } of requests) {
    yield { id, sampler, samples };
    yield { id, ...(await resultOf(evaluations, id, AbortSignal.any([signal, host.closing]))) };
  }
}

async function chooseCheckpoint({ folder, runId }: ManagedRun, asked: number | undefined): Promise<number> {
  const checkpoints = await listCheckpoints(folder);
  const update = asked ?? checkpoints[0];
  if (update !== undefined && checkpoints.includes(update)) return update;
  throw new Dd2Error('CHECKPOINT_CORRUPT', update === undefined ? `run ${runId} has no checkpoint yet` : `run ${runId} has no checkpoint of update ${update}`, {
    field: 'update',
    remedy: checkpoints.length === 0 ? 'Wait for its first checkpoint' : `Use one of ${checkpoints.join(', ')}`,
  });
}

async function resultOf(evaluations: RunEvaluations, id: string, signal: AbortSignal): Promise<EvaluationRecord> {
  for (;;) {
    const record = evaluations.record(id);
    if (record) return record;
    const request = evaluations.find(id);
    if (!request) throw new Dd2Error('CANCELLED', `evaluation ${id} was withdrawn`);
    const failure = failureOf(request);
    if (failure) throw failure;
    signal.throwIfAborted();
    await evaluations.changed(signal);
  }
}

function requireAtMost(value: number, limit: number, field: string): void {
  if (value > limit) throw new Dd2Error('INVALID_ARGUMENT', `${value} is more than the allowed ${limit}`, { field, remedy: `Use at most ${limit}` });
}
