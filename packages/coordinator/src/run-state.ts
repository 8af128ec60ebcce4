import type { Network, Phase } from '@dd2/core';

/** What a commit changes, beside the vectors in the aggregators: a checkpoint holds both. */
export interface RunProgress {
  /** updates that are committed or skipped; the next one has this number */
  update: number;
  /** parameter versions: commits that each network has seen */
  readonly versions: Record<Network, number>;
  /** updates whose gradient was not finite, and how many of them came last in a row */
  skippedUpdates: number;
  skippedInARow: number;
}

/** Where an update's time went, in milliseconds. */
export interface UpdateTiming {
  readonly wallMs: number;
  /** execution on the busiest worker */
  readonly computeMs: number;
  /** leases out, parameters to workers, gradients back: what collecting took beyond the execution */
  readonly transferMs: number;
  /** from the last result to the complete sum */
  readonly reduceMs: number;
  readonly optimizeMs: number;
  readonly publishMs: number;
  /** share of the wall time in which no worker computed for this update */
  readonly overhead: number;
}

/** One line of metrics.jsonl. */
export interface UpdateMetrics {
  readonly update: number;
  readonly phase: Phase;
  readonly network: Network;
  /** when the update was over: milliseconds since the epoch */
  readonly at: number;
  readonly cyclePosition?: number;
  readonly generatorUpdates: number;
  readonly samples: number;
  readonly committed: boolean;
  /** with this one: how many updates were skipped so far, and how many of them in a row */
  readonly skippedUpdates: number;
  readonly skippedInARow: number;
  readonly version: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly workers: number;
  readonly timing: UpdateTiming;
}
