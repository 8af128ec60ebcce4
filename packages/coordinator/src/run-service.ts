import { once } from 'node:events';
import { RunState as WireState, timestampFromDate, type Handlers, type MessageInitShape, type MessageWritable, type RunEventSchema, type RunSchema, type RunService } from '@dd2/proto';
import { samplerName } from './evaluate.js';
import type { RunHistory, RunMoment, RunState } from './run-history.js';
import type { RunManager } from './run-manager.js';

const wireStates: Readonly<Record<RunState, WireState>> = {
  queued: WireState.QUEUED,
  running: WireState.RUNNING,
  stopping: WireState.STOPPING,
  stopped: WireState.STOPPED,
  completed: WireState.COMPLETED,
  failed: WireState.FAILED,
  cancelled: WireState.CANCELLED,
};

/** RunService: what people and their tools ask of the coordinator. */
export function runService(manager: RunManager): Handlers<typeof RunService> {
  return {
    submitRun: async (request) => ({ run: runMessage(await manager.submit(request)) }),
    getRun: async ({ runId }) => ({ run: runMessage(manager.find(runId)) }),
    listRuns: async ({ states }) => ({
      runs: manager.runs.map(runMessage).filter(({ state }) => states.length === 0 || (state !== undefined && states.includes(state))),
    }),
    stopRun: async ({ runId }) => ({ run: runMessage(await manager.stop(runId)) }),
    cancelRun: async ({ runId }) => ({ run: runMessage(await manager.cancel(runId)) }),
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
            ? { message: { case: 'evaluation', value: { runId, ...step, classCounts: [...step.classCounts], noiseSeed: BigInt(step.noiseSeed) } } }
            : { message: { case: 'progress', value: { sampler: step.sampler, samples: 0, totalSamples: step.samples } } },
          signal,
        );
      }
    },
  };
}

/** Writes a message, and waits when the reader does not keep up: what is not taken yet must not pile up here. */
async function send<T>(stream: MessageWritable<T>, message: T, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!stream.write(message) && stream.writableNeedDrain) await once(stream, 'drain', { signal });
}

function runMessage(run: RunHistory): MessageInitShape<typeof RunSchema> {
  return {
    runId: run.identity.runId,
    name: run.identity.name,
    state: wireStates[run.state],
    phase: run.phase,
    update: run.update,
    totalUpdates: run.totalUpdates,
    generatorUpdates: run.generatorUpdates,
    ...(run.lastFid === undefined ? {} : { lastFid: run.lastFid }),
    ...(run.bestFid === undefined ? {} : { bestFid: run.bestFid }),
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
