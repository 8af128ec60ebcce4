import { Dd2Error } from '@dd2/core';
import { anotherAttempt } from './another-attempt.js';
import { loadNetwork } from './checkpoint.js';
import { evaluate, parseSampler, sampleGrid, type EvaluationRecord } from './evaluate.js';
import type { ManagedRun } from './managed-run.js';
import type { ModelContext } from './model-context.js';
import { writeFlat } from './parameter-store.js';
import type { EvaluationRequest } from './run-evaluations.js';

/** Measures what a request is pinned to, and keeps the result. A job that comes twice finds it done. */
export async function measureEvaluation(run: ManagedRun, evaluationId: string, lastAttempt: boolean): Promise<void> {
  const { evaluations, history, host: { activity, closing } } = run;
  const request = evaluations.find(evaluationId);
  if (!request || request.failed) return;
  closing.throwIfAborted();
  const withdrawn = new AbortController();
  const look = (): void => {
    if (!evaluations.find(evaluationId)) withdrawn.abort(new Dd2Error('CANCELLED', 'the evaluation was withdrawn'));
  };
  evaluations.on('changed', look);
  const signal = AbortSignal.any([withdrawn.signal, closing]);
  const ends: (() => void | Promise<void>)[] = [];
  try {
    ends.push(await run.measuringPlaces.take(signal));
    evaluations.running.add(evaluationId);
    const { opened, release } = run.shareContext();
    ends.push(release);
    const result = await measureCheckpoint(await opened, request, signal);
    if (!evaluations.find(evaluationId)) return; // withdrawn, or measured by a job that came twice
    await evaluations.complete(evaluationId, result, () => run.told(history.evaluated(result.record, request.purpose)));
    activity?.evaluated(result.record.seconds);
  } catch (thrown) {
    const error = Dd2Error.from(thrown, 'INTERNAL');
    if (withdrawn.signal.aborted) return;
    if (closing.aborted || error.code === 'FENCED') throw error;
    const again = anotherAttempt(error, lastAttempt);
    if (again) throw again;
    run.note('trouble', `the ${request.sampler} evaluation at update ${request.update} failed: ${error.message}`);
    activity?.evaluationFailed();
    await evaluations.fail(evaluationId, error);
    throw error;
  } finally {
    evaluations.running.delete(evaluationId);
    evaluations.off('changed', look);
    for (const end of ends.reverse()) await end();
  }
}

/**
 * The moving average of the checkpoint that the request is pinned to; the result is a function of both alone. The run's own
 * evaluations come with a grid of samples.
 * @throws {Dd2Error} CHECKPOINT_CORRUPT when the checkpoint is damaged or gone
 */
async function measureCheckpoint(context: ModelContext, request: EvaluationRequest, signal: AbortSignal): Promise<{ readonly record: EvaluationRecord; readonly grid?: Uint8Array | undefined }> {
  const { folder, layout, model, parameters } = context;
  const { manifest, vector } = await loadNetwork(folder, layout, request.update, 'generator_ema');
  const { published: generator, release } = await parameters.publishHeld('generator_ema', request.update, layout.size, writeFlat(vector));
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  try {
    const measurement = { ...request, sampler: parseSampler(request.sampler, model.tokens), generator, generatorUpdates: manifest.generatorUpdates };
    const [record, grid] = await Promise.all([
      evaluate(context, measurement, either),
      request.purpose === 'asked' ? undefined : sampleGrid(context, measurement, either),
    ]);
    return { record, grid };
  } finally {
    over.abort(new Dd2Error('CANCELLED', 'the evaluation has ended')); // when one of both fails, nobody waits for the other
    await release();
  }
}
