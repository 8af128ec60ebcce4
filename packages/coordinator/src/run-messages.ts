import { EvaluationState, RunState as WireState, timestampFromDate, type EvaluationSchema, type MessageInitShape, type RunEventSchema, type RunSchema } from '@dd2/proto';
import type { EvaluationRecord } from './evaluate.js';
import type { EvaluationRequest, RunEvaluations } from './run-evaluations.js';
import type { RunHistory, RunMoment, RunState } from './run-history.js';
import type { RunManager } from './run-manager.js';
import { thinCurve } from './thin-curve.js';

const wireStates: Readonly<Record<RunState, WireState>> = {
  queued: WireState.QUEUED,
  running: WireState.RUNNING,
  pausing: WireState.PAUSING,
  paused: WireState.PAUSED,
  completed: WireState.COMPLETED,
  failed: WireState.FAILED,
  cancelled: WireState.CANCELLED,
};

/** Points of the small curve in a list of runs. */
const CURVE_POINTS = 64;

/** A run as it is now. */
export function runMessage(manager: RunManager, run: RunHistory): MessageInitShape<typeof RunSchema> {
  const { runId, name, createdAt } = run.identity;
  const { best, curve } = manager.evaluationsOf(runId);
  const { updatesPerSecond, etaSeconds } = run;
  return {
    priority: manager.priorityOf(runId),
    waitingFor: run.waitingFor,
    ...(best ? { bestFid: best.fid, bestUpdate: best.update } : {}),
    runId,
    name,
    state: wireStates[run.state],
    phase: run.phase,
    update: run.update,
    totalUpdates: run.totalUpdates,
    generatorUpdates: run.generatorUpdates,
    network: run.network,
    cyclePosition: run.cyclePosition,
    cycleLength: run.cycleLength,
    cycleGuidance: run.cycleGuidance,
    ...(run.lastFid === undefined ? {} : { lastFid: run.lastFid }),
    fidSamples: run.fidSamples,
    createdAt: timestampFromDate(new Date(createdAt)),
    updatedAt: timestampFromDate(new Date(run.updatedAt)),
    ...(updatesPerSecond === undefined ? {} : { updatesPerSecond }),
    ...(etaSeconds === undefined ? {} : { etaSeconds }),
    fidCurve: thinCurve(curve, CURVE_POINTS).map(({ update, fid }) => ({ update, fid })),
    ...(run.error ? { error: run.error } : {}),
  };
}

export function eventMessage(moment: RunMoment): MessageInitShape<typeof RunEventSchema> {
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
    kind: moment.kind,
    ...(moment.fidUpdate === undefined ? {} : { fidUpdate: moment.fidUpdate }),
    metrics: { ...moment.metrics },
    ...(moment.fid === undefined ? {} : { fid: moment.fid, fidSamples: moment.fidSamples ?? 0 }),
    ...(moment.updatesPerSecond === undefined ? {} : { updatesPerSecond: moment.updatesPerSecond }),
    ...(moment.etaSeconds === undefined ? {} : { etaSeconds: moment.etaSeconds }),
    ...(moment.error ? { error: moment.error } : {}),
  };
}

/** The evaluations of a run, by update: those that are complete, wait, run, or failed. */
export function evaluationMessages(runId: string, evaluations: RunEvaluations): MessageInitShape<typeof EvaluationSchema>[] {
  const all = [
    ...evaluations.records.map(([id, record]) => recordMessage(runId, id, record, evaluations.hasGrid(id))),
    ...evaluations.requests.map((request) => requestMessage(runId, request, evaluations.running.has(request.id))),
  ];
  return all.sort((a, b) => (a.update ?? 0) - (b.update ?? 0));
}

export function recordMessage(runId: string, evaluationId: string, { classCounts, noiseSeed, fidStandardError, ...record }: EvaluationRecord, hasGrid: boolean): MessageInitShape<typeof EvaluationSchema> {
  return {
    runId,
    evaluationId,
    ...record,
    ...(fidStandardError === undefined ? {} : { fidStandardError }),
    classCounts: [...classCounts],
    noiseSeed: BigInt(noiseSeed),
    state: EvaluationState.COMPLETED,
    hasGrid,
  };
}

function requestMessage(runId: string, request: EvaluationRequest, running: boolean): MessageInitShape<typeof EvaluationSchema> {
  const { id: evaluationId, update, sampler, samples, noiseSeed, failed } = request;
  return { runId, evaluationId, update, sampler, samples, noiseSeed: BigInt(noiseSeed), state: failed ? EvaluationState.FAILED : running ? EvaluationState.RUNNING : EvaluationState.QUEUED, ...(failed ? { error: failed } : {}) };
}
