import { Histogram } from 'prom-client';
import type { UpdateMetrics, UpdateTiming } from '../run-state.js';

/** The parts of an update, in their order. */
export const updateParts = ['compute', 'transfer', 'reduce', 'optimize', 'publish'] as const;
export type UpdatePart = (typeof updateParts)[number];

/** What the updates of one phase and network came to since the coordinator was started. They only grow. */
export interface UpdateCounts {
  readonly phase: string;
  readonly network: string;
  committed: number;
  skipped: number;
  samples: number;
  /** wall-clock time, together all of it */
  readonly partSeconds: Record<UpdatePart, number>;
}

/** What this coordinator has seen of a run. */
export interface ObservedRun {
  /** by phase and network */
  readonly updates: ReadonlyMap<string, UpdateCounts>;
  /** the last update of each network */
  readonly last: ReadonlyMap<string, UpdateMetrics>;
  /** updates that were skipped in the run's whole life; known from its first update here on */
  readonly skipped: number | undefined;
  readonly checkpoints: number;
}

interface Entry {
  readonly updates: Map<string, UpdateCounts>;
  readonly last: Map<string, UpdateMetrics>;
  skipped: number | undefined;
  checkpoints: number;
}

/** Runs that are remembered though nobody asks for them; of more of them those that were begun first are forgotten. */
const RUNS_KEPT = 1_000;

/**
 * What runs do: told once for each update, checkpoint and evaluation, asked when somebody wants to know. It holds a few numbers
 * for each run until it is told to forget it.
 */
export class RunActivity {
  readonly #runs = new Map<string, Entry>();
  readonly saves = durations('dd2_checkpoint_save_seconds', 'Time to hash and write a checkpoint, beside the updates');
  readonly evaluations = durations('dd2_evaluation_seconds', 'Time that an evaluation took, from its leases to its figure');
  evaluationsDone = 0;
  evaluationsFailed = 0;

  updated(runId: string, metrics: UpdateMetrics): void {
    const run = this.#run(runId);
    const { phase, network, timing } = metrics;
    const key = `${phase} ${network}`;
    let counts = run.updates.get(key);
    if (!counts) {
      counts = { phase, network, committed: 0, skipped: 0, samples: 0, partSeconds: { compute: 0, transfer: 0, reduce: 0, optimize: 0, publish: 0 } };
      run.updates.set(key, counts);
    }
    if (metrics.committed) counts.committed += 1;
    else counts.skipped += 1;
    counts.samples += metrics.samples;
    for (const part of updateParts) counts.partSeconds[part] += seconds(timing[milliseconds[part]]);
    run.last.set(network, metrics);
    run.skipped = metrics.skippedUpdates;
  }

  checkpointed(runId: string, saveSeconds: number): void {
    this.#run(runId).checkpoints += 1;
    this.saves.observe(saveSeconds);
  }

  evaluated(evaluationSeconds: number): void {
    this.evaluationsDone += 1;
    this.evaluations.observe(evaluationSeconds);
  }

  evaluationFailed(): void {
    this.evaluationsFailed += 1;
  }

  find(runId: string): ObservedRun | undefined {
    return this.#runs.get(runId);
  }

  /** Forgets all runs but these. */
  keep(runIds: ReadonlySet<string>): void {
    for (const runId of this.#runs.keys()) if (!runIds.has(runId)) this.#runs.delete(runId);
  }

  #run(runId: string): Entry {
    let run = this.#runs.get(runId);
    if (!run) {
      run = { updates: new Map(), last: new Map(), skipped: undefined, checkpoints: 0 };
      this.#runs.set(runId, run);
      for (const oldest of this.#runs.keys()) {
        if (this.#runs.size <= RUNS_KEPT) break;
        this.#runs.delete(oldest);
      }
    }
    return run;
  }
}

const milliseconds = { compute: 'computeMs', transfer: 'transferMs', reduce: 'reduceMs', optimize: 'optimizeMs', publish: 'publishMs' } as const satisfies Record<UpdatePart, keyof UpdateTiming>;

/** Counters never fall, though the difference of two clocks may be negative. */
function seconds(ms: number): number {
  return ms > 0 && ms < Infinity ? ms / 1_000 : 0;
}

/** From a small model's milliseconds to what a full disk or a large teacher takes. In no registry yet. */
function durations(name: string, help: string): Histogram {
  return new Histogram({ name, help, buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300], registers: [] });
}
