import { setTimeout as delay } from 'node:timers/promises';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { Dispatcher } from '../dispatcher.js';
import type { RunEvaluations } from '../run-evaluations.js';
import type { RunHistory } from '../run-history.js';
import type { Cluster } from './cluster.js';
import { clusterMetrics, type ObservedCluster } from './cluster-metrics.js';
import type { MetricFamily, Sample } from './metric-family.js';
import type { RunActivity } from './run-activity.js';
import { runMetrics, type ShownRun } from './run-metrics.js';
import type { WorkerActivity } from './worker-activity.js';
import { workerMetrics, type ObservedWorkers } from './worker-metrics.js';

/** What `/metrics` is read from. */
export interface PrometheusSources {
  readonly runs: { readonly runs: readonly RunHistory[]; evaluationsOf(runId: string): Pick<RunEvaluations, 'best' | 'pending' | 'running'> };
  readonly runActivity: RunActivity;
  readonly workerActivity: WorkerActivity;
  readonly dispatcher: Pick<Dispatcher, 'standing'>;
  readonly cluster: Pick<Cluster, 'version' | 'options' | 'queueAvailable'>;
}

/** A run that has ended keeps its series so long: enough to see, and to record, what it came to. */
const SHOWN_AFTER_END_MS = 24 * 3_600_000;
/** runs that have series of their own; of more of them those that are being advanced, and then those that changed last */
const MOST_RUNS = 100;
/** how often the event loop is looked at */
const PRECISION_MS = 20;
/** the first to have a place */
const ranks = { running: 0, pausing: 0, queued: 1, paused: 1, completed: 2, failed: 2, cancelled: 2 } as const;

interface Snapshot {
  readonly cluster: ObservedCluster;
  readonly workers: ObservedWorkers;
  readonly shown: readonly ShownRun[];
}

/** What the coordinator tells Prometheus. Values are read when it asks; nothing is done in between. */
export class Prometheus {
  readonly #registry = new Registry();
  #snapshot: Snapshot | undefined;
  #scrape: Promise<string> | undefined;
  #hasProcess = false;

  constructor(private readonly sources: PrometheusSources) {
    for (const family of clusterMetrics) this.#register(family, ({ cluster }) => cluster);
    for (const family of workerMetrics) this.#register(family, ({ workers }) => workers);
    for (const family of runMetrics) this.#register(family, ({ shown }) => shown);
    this.#registry.registerMetric(sources.runActivity.saves);
    this.#registry.registerMetric(sources.runActivity.evaluations);
  }

  /** of `metricsText` */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus' text format 0.0.4. Those who ask at the same time get the same. */
  async metricsText(): Promise<string> {
    this.#scrape ??= this.#text().finally(() => (this.#scrape = undefined));
    return this.#scrape;
  }

  async #text(): Promise<string> {
    if (!this.#hasProcess) await this.#observeProcess();
    this.#snapshot = this.#look();
    return this.#registry.metrics();
  }

  /** Measuring the event loop costs something, and cannot be ended: it begins when somebody wants to know. */
  async #observeProcess(): Promise<void> {
    this.#hasProcess = true;
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: PRECISION_MS });
    await delay(5 * PRECISION_MS); // without a sample yet, its minimum would be 292 years
  }

  /** What all of it is read from: looked up once. */
  #look(): Snapshot {
    const { runs, runActivity, workerActivity, dispatcher, cluster } = this.sources;
    const histories = runs.runs;
    const shown = shownRuns(histories);
    runActivity.keep(new Set(shown.map(({ identity }) => identity.runId)));
    const evaluations = histories.map(({ identity }) => runs.evaluationsOf(identity.runId));
    const measuring = sum(evaluations.map(({ running }) => running.size));
    return {
      cluster: {
        ...cluster.options,
        version: cluster.version,
        storeUp: cluster.queueAvailable,
        states: histories.map(({ state }) => state),
        queues: {
          runs: { waiting: count(histories, 'queued'), active: count(histories, 'running') + count(histories, 'pausing') },
          evaluations: { waiting: Math.max(0, sum(evaluations.map(({ pending }) => pending.length)) - measuring), active: measuring },
        },
        evaluations: { done: runActivity.evaluationsDone, failed: runActivity.evaluationsFailed },
      },
      workers: {
        workers: workerActivity.workers.map((worker) => ({ ...worker, standing: dispatcher.standing(worker.session) ?? { draining: false, asideMs: 0 } })),
        byName: workerActivity.byName,
        all: workerActivity.all,
      },
      shown: shown.map((history) => ({ history, evaluations: runs.evaluationsOf(history.identity.runId), observed: runActivity.find(history.identity.runId) })),
    };
  }

  #register<S>({ kind, name, help, labels, read }: MetricFamily<S>, part: (snapshot: Snapshot) => S): void {
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] };
    const samples = (): Iterable<Sample> => (this.#snapshot ? read(part(this.#snapshot)) : []);
    if (kind === 'gauge') {
      new Gauge({
        ...options,
        collect() {
          this.reset();
          for (const [of, value] of samples()) this.set({ ...of }, value);
        },
      });
    } else {
      new Counter({
        ...options,
        collect() {
          this.reset();
          for (const [of, value] of samples()) this.inc({ ...of }, value);
        },
      });
    }
  }
}

/** Those that are open or have ended within the last day. */
function shownRuns(runs: readonly RunHistory[]): RunHistory[] {
  const since = Date.now() - SHOWN_AFTER_END_MS;
  return runs
    .filter(({ state, updatedAt }) => ranks[state] < 2 || Date.parse(updatedAt) >= since)
    .sort((a, b) => ranks[a.state] - ranks[b.state] || Date.parse(b.updatedAt) - Date.parse(a.updatedAt))
    .slice(0, MOST_RUNS);
}

const count = (runs: readonly RunHistory[], wanted: RunHistory['state']): number => runs.filter(({ state }) => state === wanted).length;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
