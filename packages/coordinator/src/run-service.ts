import { once } from 'node:events';
import { EvaluationState, RunState as WireState, timestampFromDate, type EvaluationSchema, type Handlers, type MessageInitShape, type MessageWritable, type RunEventSchema, type RunSchema, type RunService } from '@dd2/proto';
import { samplerName, type EvaluationRecord } from './evaluate.js';
import type { EvaluationRequest } from './run-evaluations.js';
import type { RunHistory, RunMoment, RunState } from './run-history.js';
import type { RunManager } from './run-manager.js';

const wireStates: Readonly<Record<RunState, WireState>> = {
  queued: WireState.QUEUED,
  running: WireState.RUNNING,
  pausing: WireState.PAUSING,
  paused: WireState.PAUSED,
  completed: WireState.COMPLETED,
  failed: WireState.FAILED,
  cancelled: WireState.CANCELLED,
};

/** RunService: what people and their tools ask of the coordinator. */
export function runService(manager: RunManager): Handlers<typeof RunService> {
  const message = (run: RunHistory): MessageInitShape<typeof RunSchema> => {
    const { runId } = run.identity;
    return runMessage(run, manager.priorityOf(runId), manager.evaluationsOf(runId).best);
  };
  return {
    submitRun: async (request) => ({ run: message(await manager.submit(request)) }),
    getRun: async ({ runId }) => ({ run: message(manager.find(runId)) }),
    listRuns: async ({ states }) => ({
      runs: manager.runs.map(message).filter(({ state }) => states.length === 0 || (state !== undefined && states.includes(state))),
    }),
    pauseRun: async ({ runId }) => ({ run: message(await manager.pause(runId)) }),
    resumeRun: async ({ runId }) => ({ run: message(await manager.resume(runId)) }),
    cancelRun: async ({ runId }) => ({ run: message(await manager.cancel(runId)) }),
    watchRun: async ({ runId, since }, stream, { signal }) => {
      for await (const moment of manager.find(runId).watch(Number(since), signal)) {
        await send(stream, { event: eventMessage(moment) }, signal);
      }
    },
    evaluate: async ({ runId, update, samplers, samples, noiseSeed }, stream, { signal }) => {
      const request = {
        update,
        samplers: samplers.length === 0 ? [samplerName({ kind: 'one-step' })] : samplers,
        samples: samples === 0 ? undefined : samples,
        noiseSeed: noiseSeed === undefined ? undefined : Number(noiseSeed),
      };
      for await (const step of manager.evaluate(runId, request, signal)) {
        await send(
          stream,
          'fid' in step
            ? { message: { case: 'evaluation', value: recordMessage(runId, step.id, step) } }
            : { message: { case: 'progress', value: { sampler: step.sampler, samples: 0, totalSamples: step.samples } } },
          signal,
        );
      }
    },
    listEvaluations: async ({ runId }) => {
      const evaluations = manager.evaluationsOf(runId);
      const all = [...evaluations.records.map(([id, record]) => recordMessage(runId, id, record)), ...evaluations.requests.map((request) => requestMessage(runId, request, evaluations.running.has(request.id)))];
      return { evaluations: all.sort((a, b) => (a.update ?? 0) - (b.update ?? 0)) };
    },
  };
}

function recordMessage(runId: string, evaluationId: string, { classCounts, noiseSeed, ...record }: EvaluationRecord): MessageInitShape<typeof EvaluationSchema> {
  return { runId, evaluationId, ...record, classCounts: [...classCounts], noiseSeed: BigInt(noiseSeed), state: EvaluationState.COMPLETED };
}

function requestMessage(runId: string, request: EvaluationRequest, running: boolean): MessageInitShape<typeof EvaluationSchema> {
  const { id: evaluationId, update, sampler, samples, noiseSeed, failed } = request;
  return { runId, evaluationId, update, sampler, samples, noiseSeed: BigInt(noiseSeed), state: failed ? EvaluationState.FAILED : running ? EvaluationState.RUNNING : EvaluationState.QUEUED, ...(failed ? { error: failed } : {}) };
}

/** Writes a message, and waits when the reader does not keep up: what is not taken yet must not pile up here. */
async function send<T>(stream: MessageWritable<T>, message: T, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!stream.write(message) && stream.writableNeedDrain) await once(stream, 'drain', { signal });
}

function runMessage(run: RunHistory, priority: number, best: EvaluationRecord | undefined): MessageInitShape<typeof RunSchema> {
  return {
    priority,
    waitingFor: run.waitingFor,
    ...(best ? { bestFid: best.fid, bestUpdate: best.update } : {}),
    runId: run.identity.runId,
    name: run.identity.name,
    state: wireStates[run.state],
    phase: run.phase,
    update: run.update,
    totalUpdates: run.totalUpdates,
    generatorUpdates: run.generatorUpdates,
    ...(run.lastFid === undefined ? {} : { lastFid: run.lastFid }),
    fidSamples: run.fidSamples,
    createdAt: timestampFromDate(new Date(run.identity.createdAt)),
    updatedAt: timestampFromDate(new Date(run.updatedAt)),
    ...(run.error ? { error: run.error } : {}),
  };
}

function eventMessage(moment: RunMoment): MessageInitShape<typeof RunEventSchema> {
  return {
    sequence: BigInt(moment.sequence),
    at: timestampFromDate(new Date(moment.at)),
    state: wireStates[moment.state],
    phase: moment.phase,
    update: moment.update,
    totalUpdates: moment.totalUpdates,
    cyclePosition: moment.cyclePosition,
    cycleLength: moment.cycleLength,
    cycleGuidance: moment.cycleGuidance,
    generatorUpdates: moment.generatorUpdates,
    network: moment.network,
    workers: moment.workers,
    message: moment.message,
    metrics: { ...moment.metrics },
    ...(moment.fid === undefined ? {} : { fid: moment.fid, fidSamples: moment.fidSamples ?? 0 }),
    ...(moment.updatesPerSecond === undefined ? {} : { updatesPerSecond: moment.updatesPerSecond }),
    ...(moment.etaSeconds === undefined ? {} : { etaSeconds: moment.etaSeconds }),
    ...(moment.error ? { error: moment.error } : {}),
  };
}
