import { Dd2Error, type HostTensor } from '@dd2/core';
import { LeaseTable, type JobRequest, type Lease } from './lease-table.js';
import type { Reduction } from './aggregators.js';
import type { PublishedParameters } from './parameter-store.js';

/** Work for the workers: one program over `microBatches` micro-batches. */
export interface Job extends JobRequest {
  readonly runId: string;
  readonly programId: string;
  readonly seed: number;
  /** update number in the random counter */
  readonly update: number;
  readonly firstSample: number;
  /** by the program's network name */
  readonly parameters: Readonly<Record<string, PublishedParameters>>;
  /** content ids by the program's asset name */
  readonly assets: Readonly<Record<string, string>>;
  /** where gradients go, and how many float32 elements they have */
  readonly gradient?: { readonly reduction: Reduction; readonly size: number };
}

export interface MicroBatchOutcome {
  readonly index: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly results: Readonly<Record<string, HostTensor>>;
}

/** What a worker reports of a lease beside its gradient. */
export interface LeaseReport {
  readonly microBatches: readonly MicroBatchOutcome[];
  readonly computeMs: number;
  readonly transferMs: number;
}

export interface JobOutcome {
  /** one per micro-batch, ascending */
  readonly microBatches: readonly MicroBatchOutcome[];
  /** the busiest worker's time in execution, milliseconds */
  readonly computeMs: number;
  /** all workers' time in execution, milliseconds */
  readonly totalComputeMs: number;
}

/** How the dispatcher reaches a connected worker. */
export interface WorkerLink {
  lease(lease: Lease<Job>): void;
  revoke(lease: Lease<Job>): void;
}

interface JobProgress {
  readonly outcomes: Map<number, MicroBatchOutcome>;
  readonly computeMs: Map<string, number>;
  resolve(outcome: JobOutcome): void;
  reject(error: Error): void;
}

interface LeaseProgress {
  report?: LeaseReport;
  gradientReceived: boolean;
}

/**
 * Leases jobs to the connected workers and gathers what they return. The decisions are the lease table's; this class adds
 * the clock, the links and the promises. A lease counts as done when its report and its whole gradient have arrived.
 */
export class Dispatcher {
  readonly #table = new LeaseTable<Job>();
  readonly #links = new Map<string, WorkerLink>();
  readonly #jobs = new Map<Job, JobProgress>();
  readonly #progress = new Map<number, LeaseProgress>();

  get workerCount(): number {
    return this.#links.size;
  }

  join(worker: string, capacity: number, execution: string, link: WorkerLink): void {
    this.#links.set(worker, link);
    this.#table.join(worker, capacity, execution);
    this.#assign();
  }

  drain(worker: string): void {
    this.#table.drain(worker);
  }

  leave(worker: string): void {
    this.#links.delete(worker);
    for (const { id } of this.#table.leave(worker)) this.#progress.delete(id);
    this.#assign();
  }

  /** Resolves when every micro-batch has a result; rejects when the job is aborted or cannot be computed. */
  async run(job: Job, signal?: AbortSignal): Promise<JobOutcome> {
    signal?.throwIfAborted();
    const abort = (): void => this.#end(job, (progress) => progress.reject(Dd2Error.from(signal?.reason, 'CANCELLED')));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise<JobOutcome>((resolve, reject) => {
        this.#jobs.set(job, { outcomes: new Map(), computeMs: new Map(), resolve, reject });
        this.#table.submit(job);
        this.#assign();
      });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** The lease if its result is still wanted. */
  find(leaseId: number): Lease<Job> | undefined {
    return this.#table.find(leaseId);
  }

  /** The whole gradient of the lease has been handed to its reduction. */
  gradientReceived(leaseId: number): void {
    const progress = this.#leaseProgress(leaseId);
    if (!progress) return;
    progress.gradientReceived = true;
    this.#settle(leaseId, progress);
  }

  reported(leaseId: number, report: LeaseReport): void {
    const progress = this.#leaseProgress(leaseId);
    if (!progress) return;
    progress.report = report;
    this.#settle(leaseId, progress);
  }

  failed(leaseId: number, error: Dd2Error): void {
    const lease = this.#table.find(leaseId);
    if (!lease) return;
    this.#progress.delete(leaseId);
    if (this.#table.fail(leaseId)) this.#end(lease.job, (progress) => progress.reject(error));
    else this.#assign();
  }

  /** Looks for stragglers; called about once a second. */
  tick(): void {
    this.#assign();
  }

  #leaseProgress(leaseId: number): LeaseProgress | undefined {
    if (!this.#table.find(leaseId)) return undefined;
    const progress = this.#progress.get(leaseId) ?? { gradientReceived: false };
    this.#progress.set(leaseId, progress);
    return progress;
  }

  #settle(leaseId: number, { report, gradientReceived }: LeaseProgress): void {
    const lease = this.#table.find(leaseId);
    if (!lease || !report || (lease.job.gradient && !gradientReceived)) return;
    const done = this.#table.complete(leaseId, performance.now());
    this.#progress.delete(leaseId);
    const progress = this.#jobs.get(lease.job);
    if (!done || !progress) return;
    for (const other of done.superfluous) {
      this.#progress.delete(other.id);
      this.#links.get(other.worker)?.revoke(other);
    }
    for (const outcome of report.microBatches) progress.outcomes.set(outcome.index, outcome);
    progress.computeMs.set(lease.worker, (progress.computeMs.get(lease.worker) ?? 0) + report.computeMs);
    if (done.jobDone) {
      this.#jobs.delete(lease.job);
      const times = [...progress.computeMs.values()];
      progress.resolve({
        microBatches: [...progress.outcomes.values()].sort((a, b) => a.index - b.index),
        computeMs: Math.max(...times),
        totalComputeMs: times.reduce((total, time) => total + time, 0),
      });
    }
    this.#assign();
  }

  #end(job: Job, finish: (progress: JobProgress) => void): void {
    for (const lease of this.#table.cancel(job)) {
      this.#progress.delete(lease.id);
      this.#links.get(lease.worker)?.revoke(lease);
    }
    const progress = this.#jobs.get(job);
    this.#jobs.delete(job);
    if (progress) finish(progress);
    this.#assign();
  }

  #assign(): void {
    for (const lease of this.#table.assign(performance.now())) this.#links.get(lease.worker)?.lease(lease);
  }
}
