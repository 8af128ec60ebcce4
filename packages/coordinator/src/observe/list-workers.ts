import { timestampFromDate, WorkerState, type ListWorkersResponseSchema, type MessageInitShape, type WorkerSchema } from '@dd2/proto';
import type { Dispatcher } from '../dispatcher.js';
import type { Standing } from '../lease-table.js';
import type { ActiveWorker, WorkerActivity } from './worker-activity.js';
import { workerState } from './worker-state.js';

const wireStates = { idle: WorkerState.IDLE, busy: WorkerState.BUSY, draining: WorkerState.DRAINING, put_aside: WorkerState.PUT_ASIDE } as const;

/** The connected workers and what they do, by name. */
export function listWorkers(activity: WorkerActivity, dispatcher: Pick<Dispatcher, 'standing'>): MessageInitShape<typeof ListWorkersResponseSchema> {
  return { workers: activity.workers.map((worker) => workerMessage(worker, dispatcher.standing(worker.session) ?? { draining: false, asideMs: 0 })) };
}

function workerMessage({ hello, joinedAt, lastHeardAt, leases, counts, microBatchesPerSecond, busy }: ActiveWorker, standing: Standing): MessageInitShape<typeof WorkerSchema> {
  const { workerId, name, host, processId, provider, device, intraOpThreads, pool } = hello;
  return {
    workerId,
    name,
    host,
    processId,
    provider,
    device,
    intraOpThreads,
    pool,
    state: wireStates[workerState(standing, leases.length)],
    joinedAt: timestampFromDate(joinedAt),
    lastHeardAt: timestampFromDate(lastHeardAt),
    leases: leases.map(({ lease: { job, span, backupOf }, heldSeconds }) => ({
      runId: runOf(job.runId),
      program: job.signature.name,
      update: job.update,
      microBatches: span.to - span.from,
      heldSeconds,
      backup: backupOf !== undefined,
    })),
    leasesDone: BigInt(counts.done),
    leasesFailed: BigInt(counts.failed),
    straggled: BigInt(counts.straggled),
    microBatchesPerSecond,
    busy,
    ...(standing.asideMs > 0 ? { asideUntil: timestampFromDate(new Date(Date.now() + standing.asideMs)) } : {}),
  };
}

/** The namespace that a job's parameters are found under is the run's id and something random. */
function runOf(namespace: string): string {
  const end = namespace.lastIndexOf('.');
  return end < 0 ? namespace : namespace.slice(0, end);
}
