import { runStates, type RunState } from '../run-history.js';
import { counter, gauge, type MetricFamily, type Sample } from './metric-family.js';

/** What is said of a coordinator as a whole. */
export interface ObservedCluster {
  readonly version: string;
  readonly clusterId: string;
  readonly epoch: bigint;
  readonly maxRuns: number;
  readonly storeKind: string;
  readonly storeUp: boolean;
  readonly states: readonly RunState[];
  /** jobs by queue */
  readonly queues: Readonly<Record<'runs' | 'evaluations', { readonly waiting: number; readonly active: number }>>;
  readonly evaluations: { readonly done: number; readonly failed: number };
}

export const clusterMetrics: readonly MetricFamily<ObservedCluster>[] = [
  gauge('dd2_build_info', 'Always 1; the version of dd2 and of Node', ['version', 'node'], ({ version }) => [[{ version, node: process.versions.node }, 1]]),
  gauge('dd2_coordinator_epoch', "The coordinator's place in the succession of those of its data folder", ['cluster'], ({ clusterId, epoch }) => [[{ cluster: clusterId }, Number(epoch)]]),
  gauge('dd2_runs', 'Runs of the data folder by state', ['state'], ({ states }) => runStates.map((state): Sample => [{ state }, states.filter((one) => one === state).length])),
  gauge('dd2_runs_at_once', 'Runs that may be advanced at the same time', [], ({ maxRuns }) => [[{}, maxRuns]]),
  gauge('dd2_queue_jobs', 'Runs and evaluations that wait for a place, and those that have one', ['queue', 'state'], ({ queues }) =>
    Object.entries(queues).flatMap(([queue, jobs]) => Object.entries(jobs).map(([state, count]): Sample => [{ queue, state }, count])),
  ),
  gauge('dd2_queue_store_up', 'Whether jobs are taken from the queue store', ['store'], ({ storeKind, storeUp }) => [[{ store: storeKind }, storeUp ? 1 : 0]]),
  counter('dd2_evaluations_total', 'Evaluations that are done, or were given up', ['outcome'], ({ evaluations }) => Object.entries(evaluations).map(([outcome, count]) => [{ outcome }, count])),
];
