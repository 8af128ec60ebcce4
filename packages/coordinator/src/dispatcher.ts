import { Dd2Error, type HostTensor, type ProgramSignature } from '@dd2/core';
import { LeaseTable, type JobRequest, type Lease, type PutAside, type Shortage, type Standing, type WorkerTraits } from './lease-table.js';
import type { Reduction } from './aggregators.js';
import type { PublishedParameters } from './parameter-store.js';

/** Work for the workers: one program over `microBatches` micro-batches. */
export interface Job extends JobRequest {
  readonly runId: string;
  readonly programId: string;
  /** the program's name, for people, and what it returns: results of any other kind are refused */
  readonly signature: Pick<ProgramSignature, 'name' | 'metrics' | 'results'>;
  readonly seed: number;
  /** update number in the random counter */
  readonly update: number;
  readonly firstSample: number;
  /** by the program's network name */
  readonly parameters: Readonly<Record<string, PublishedParameters>>;
  /** content ids by the program's asset name */
  readonly assets: Readonly<Record<string, string>>;
  /** what each micro-batch is given, in their order: content ids by the names of the program's signature */
  readonly inputs?: readonly Readonly<Record<string, string>>[];
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
  /** whether every metric and every result is finite */
  readonly finite: boolean;
}

export interface JobOutcome {
  /** one per micro-batch, ascending */
  readonly microBatches: readonly MicroBatchOutcome[];
  /** the busiest worker's time in execution, milliseconds */
  readonly computeMs: number;
  /** all workers' time in execution, milliseconds */
  readonly totalComputeMs: number;
}

/** What no later lease will name: contents (programs, assets) by id, and the parameters of a run. */
export interface Forgettable {
  readonly contents?: readonly string[];
  readonly runId?: string;
}

/** How the dispatcher reaches a connected worker. */
export interface WorkerLink {
  lease(lease: Lease<Job>): void;
  revoke(lease: Lease<Job>): void;
  forget(what: Forgettable): void;
  /** The worker gets no lease for so long, because of errors like this one. */
  putAside(ms: number, error: Dd2Error): void;
}

/** Hears what becomes of every lease. It is told in the hot path: what it does must cost next to nothing. */
export interface LeaseObserver {
  /** The lease was given to a worker. */
  leased(lease: Lease<Job>): void;
  /** Its result is accepted. */
  done(lease: Lease<Job>, computeMs: number): void;
  /** The worker could not compute it, or its result was refused. */
  failed(lease: Lease<Job>): void;
  /** It ended without a result and without blame: given back, superfluous, cancelled, or lost with its worker. */
  released(lease: Lease<Job>): void;
}

export interface DispatcherOptions {
  /** an update is begun only while so many workers are there that could compute it (default 1) */
  readonly minWorkers?: number | undefined;
  /**
   * The work of a run has begun to wait, for what the words say, or waits for something else now; undefined: it goes on. A
   * job that is aborted while it waits says nothing more.
   */
  readonly onWaiting?: (runId: string, waitingFor: string | undefined) => void;
  readonly observer?: LeaseObserver | undefined;
  /** milliseconds, monotonic; a test's clock */
  readonly now?: () => number;
}

interface JobProgress {
  readonly outcomes: Map<number, MicroBatchOutcome>;
  readonly computeMs: Map<string, number>;
  resolve(outcome: JobOutcome): void;
  reject(error: Error): void;
}

interface LeaseProgress {
  report?: LeaseReport;
  /** whether the gradient, which is complete, is finite */
  gradient?: { readonly finite: boolean };
}

/**
 * Leases jobs to the connected workers and gathers what they return. The decisions are the lease table's; this class adds
 * the clock, the links and the promises. A lease counts as done when its report and its whole gradient have arrived.
 */
export class Dispatcher {
  readonly #table: LeaseTable<Job>;
  readonly #now: () => number;
  readonly #onWaiting: NonNullable<DispatcherOptions['onWaiting']>;
  readonly #observer: LeaseObserver | undefined;
  readonly #links = new Map<string, WorkerLink>();
  readonly #jobs = new Map<Job, JobProgress>();
  readonly #progress = new Map<number, LeaseProgress>();
  /** in words, by run */
  #waitingFor: ReadonlyMap<string, string> = new Map();

  constructor({ minWorkers = 1, onWaiting = () => undefined, observer, now = () => performance.now() }: DispatcherOptions = {}) {
    this.#table = new LeaseTable(minWorkers);
    this.#onWaiting = onWaiting;
    this.#observer = observer;
    this.#now = now;
  }

  get workerCount(): number {
    return this.#links.size;
  }

  join(worker: string, traits: WorkerTraits, link: WorkerLink): void {
    this.#links.set(worker, link);
    this.#table.join(worker, traits);
    this.#assign();
  }

  /** The worker gets no more work and finishes only the lease that it names; its other leases go to others at once. */
  drain(worker: string, finishes?: number): void {
    for (const lease of this.#table.drain(worker, finishes)) this.#released(lease);
    this.#assign();
  }

  leave(worker: string): void {
    this.#links.delete(worker);
    for (const lease of this.#table.leave(worker)) this.#released(lease);
    this.#assign();
  }

  /** Tells every worker what it need not keep. */
  forget(what: Forgettable): void {
    for (const link of this.#links.values()) link.forget(what);
  }

  /** Why a connected worker may get no lease. */
  standing(worker: string): Standing | undefined {
    return this.#table.standing(worker, this.#now());
  }

  /** What the work of a run waits for, in a few words, if it waits. */
  waitingFor(runId: string): string | undefined {
    return this.#waitingFor.get(runId);
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

  /** The whole gradient of the lease has arrived; what is finite of it has been added to its reduction. */
  gradientReceived(leaseId: number, finite = true): void {
    const progress = this.#leaseProgress(leaseId);
    if (!progress) return;
    progress.gradient = { finite };
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
    this.#observer?.failed(lease);
    const { giveUp, aside } = this.#table.fail(leaseId, this.#now());
    this.#tellAside(aside, error);
    if (giveUp) this.#end(lease.job, (progress) => progress.reject(error));
    else this.#assign();
  }

  /** The lease must be computed again, through nobody's fault. */
  giveBack(leaseId: number): void {
    const lease = this.#table.find(leaseId);
    if (lease) this.#released(lease);
    this.#table.giveBack(leaseId);
    this.#assign();
  }

  /** Looks for stragglers and for workers that were put aside; called about once a second. */
  tick(): void {
    this.#assign();
  }

  #leaseProgress(leaseId: number): LeaseProgress | undefined {
    if (!this.#table.find(leaseId)) return undefined;
    const progress = this.#progress.get(leaseId) ?? {};
    this.#progress.set(leaseId, progress);
    return progress;
  }

  #settle(leaseId: number, { report, gradient }: LeaseProgress): void {
    const lease = this.#table.find(leaseId);
    if (!lease || !report || (lease.job.gradient && !gradient)) return;
    this.#progress.delete(leaseId);
    const finite = report.finite && gradient?.finite !== false;
    if (!finite && !this.#table.doubt(leaseId)) {
      this.#observer?.released(lease);
      return this.#assign();
    }
    if (gradient?.finite === false) lease.job.gradient?.reduction.contributeNonFinite();
    const done = this.#table.complete(leaseId, this.#now(), finite);
    this.#observer?.done(lease, report.computeMs);
    const progress = this.#jobs.get(lease.job);
    if (!done || !progress) return;
    this.#tellAside(done.aside, new Dd2Error('NON_FINITE', 'the worker returned values that are not finite where another one returned finite ones'));
    for (const other of done.superfluous) {
      this.#released(other);
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
      this.#released(lease);
      this.#links.get(lease.worker)?.revoke(lease);
    }
    const progress = this.#jobs.get(job);
    this.#jobs.delete(job);
    if (progress) finish(progress);
    this.#assign();
  }

  #assign(): void {
    for (const lease of this.#table.assign(this.#now())) {
      this.#observer?.leased(lease);
      this.#links.get(lease.worker)?.lease(lease);
    }
    this.#tellWaiting();
  }

  #released(lease: Lease<Job>): void {
    this.#progress.delete(lease.id);
    this.#observer?.released(lease);
  }

  #tellAside(aside: PutAside | undefined, error: Dd2Error): void {
    if (aside) this.#links.get(aside.worker)?.putAside(aside.ms, error);
  }

  #tellWaiting(): void {
    const before = this.#waitingFor;
    const after = new Map<string, string>();
    const going = new Set<string>();
    for (const job of this.#jobs.keys()) {
      const shortage = this.#table.shortage(job);
      if (!shortage) going.add(job.runId);
      else if (!after.has(job.runId)) after.set(job.runId, inWords(job, shortage));
    }
    this.#waitingFor = after;
    for (const [runId, words] of after) if (before.get(runId) !== words) this.#onWaiting(runId, words);
    for (const runId of before.keys()) if (!after.has(runId) && going.has(runId)) this.#onWaiting(runId, undefined);
  }
}

function inWords({ pool, execution }: Job, { needed, suited }: Shortage): string {
  if (pool === 'teacher') return 'a teacher pool: start `dd2 worker --role teacher`';
  return needed > 1 ? `${suited} of ${needed} workers (${execution})` : `a worker (${execution})`;
}
