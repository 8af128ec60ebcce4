import type { Standing } from '../lease-table.js';
import { counter, gauge, type MetricFamily, type Sample } from './metric-family.js';
import type { ActiveWorker, LeaseCounts } from './worker-activity.js';
import { workerState } from './worker-state.js';

export interface ObservedWorkers {
  readonly workers: readonly (ActiveWorker & { readonly standing: Standing })[];
  readonly byName: readonly (readonly [name: string, counts: Readonly<LeaseCounts>])[];
  readonly all: Readonly<LeaseCounts>;
}

/** Workers are told apart by their names; those of one name are taken together. */
export const workerMetrics: readonly MetricFamily<ObservedWorkers>[] = [
  gauge('dd2_workers_connected', 'Workers that are connected', [], ({ workers }) => [[{}, workers.length]]),
  gauge('dd2_workers', 'Connected workers by what they are and do', ['pool', 'provider', 'state'], ({ workers }) => {
    const groups = groupBy(workers, ({ hello, standing, leases }) => JSON.stringify([hello.pool, hello.provider, workerState(standing, leases.length)]));
    return [...groups].map(([key, members]): Sample => {
      const [pool = '', provider = '', state = ''] = JSON.parse(key) as string[];
      return [{ pool, provider, state }, members.length];
    });
  }),
  gauge('dd2_worker_busy_ratio', 'Share of the last minute in which a worker computed, from 0 to 1', ['worker'], ofEach((sessions) => sessions.reduce((sum, { busy }) => sum + busy, 0) / sessions.length)),
  gauge('dd2_worker_leases_held', 'Leases that a worker holds', ['worker'], ofEach((sessions) => sessions.reduce((sum, { leases }) => sum + leases.length, 0))),
  gauge('dd2_worker_last_heard_timestamp_seconds', 'When a worker was heard last, Unix time', ['worker'], ofEach((sessions) => Math.max(...sessions.map(({ lastHeardAt }) => lastHeardAt.getTime())) / 1_000)),
  counter('dd2_worker_leases_total', 'Leases of a connected worker: done, failed, and straggled, for which another worker was given a backup', ['worker', 'outcome'], ({ byName }) =>
    byName.flatMap(([worker, counts]) => outcomes(counts).map(([outcome, value]): Sample => [{ worker, outcome }, value])),
  ),
  counter('dd2_worker_micro_batches_total', 'Micro-batches that a connected worker has done', ['worker'], ({ byName }) => byName.map(([worker, { microBatches }]) => [{ worker }, microBatches])),
  counter('dd2_worker_compute_seconds_total', 'Time that a connected worker has spent in execution', ['worker'], ({ byName }) => byName.map(([worker, { computeSeconds }]) => [{ worker }, computeSeconds])),
  counter('dd2_leases_total', 'Leases of all workers: done, failed, and straggled', ['outcome'], ({ all }) => outcomes(all).map(([outcome, value]) => [{ outcome }, value])),
  counter('dd2_micro_batches_total', 'Micro-batches that all workers have done', [], ({ all }) => [[{}, all.microBatches]]),
  counter('dd2_compute_seconds_total', 'Time that all workers have spent in execution', [], ({ all }) => [[{}, all.computeSeconds]]),
];

function ofEach(value: (sessions: readonly ActiveWorker[]) => number): MetricFamily<ObservedWorkers>['read'] {
  return ({ workers }) => [...groupBy(workers, ({ hello }) => hello.name)].map(([worker, sessions]): Sample => [{ worker }, value(sessions)]);
}

function outcomes({ done, failed, straggled }: LeaseCounts): readonly (readonly [outcome: string, value: number])[] {
  return [['done', done], ['failed', failed], ['straggled', straggled]];
}

function groupBy<T>(all: readonly T[], key: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const group = groups.get(key(one));
    if (group) group.push(one);
    else groups.set(key(one), [one]);
  }
  return groups;
}
