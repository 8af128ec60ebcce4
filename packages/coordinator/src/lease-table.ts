import { cutIntoBlocks, type Span } from './reduction-tree.js';
import { UsualDurations } from './usual-durations.js';
import { WorkerConduct } from './worker-conduct.js';

/**
 * Who computes what: a state machine without I/O or clock. Jobs are cut into blocks of micro-batches; blocks are leased to
 * workers, the least loaded first; the block of a lost worker is leased again; a straggler's block is leased a second time
 * and the first result wins. Every decision is a function of the calls made so far; `now` is in milliseconds, monotonic.
 */
export interface JobRequest {
  readonly microBatches: number;
  /** may a worker sum several neighbouring micro-batches before it answers? Otherwise each one is leased alone. */
  readonly blocks: 'summed' | 'single';
  /** smaller goes first; updates are 0, evaluations 1 */
  readonly priority: number;
  /** how it must be computed, see `executionKind`: workers of another kind would give other last bits */
  readonly execution: string;
  /** leases of one program take about as long per micro-batch: what a straggler is measured by */
  readonly programId: string;
  /** the group of workers that computes it; without one those workers that belong to no group */
  readonly pool?: 'teacher';
}

export interface Lease<J extends JobRequest = JobRequest> {
  readonly id: number;
  readonly job: J;
  readonly span: Span;
  readonly worker: string;
  readonly assignedAt: number;
  /** a second lease of a block that this worker has for too long */
  readonly backupOf?: string;
}

/** What a worker is, as far as leases are concerned. */
export interface WorkerTraits {
  /** leases that it holds at once */
  readonly capacity: number;
  readonly execution: string;
  /** the group that it belongs to; empty: none */
  readonly pool: string;
  /** stays the same when the worker joins again under another name; that name unless told */
  readonly identity?: string;
}

/** A worker that gets no lease for a while, because it failed too many. */
export interface PutAside {
  readonly worker: string;
  readonly ms: number;
}

/** Why a worker may get no lease. */
export interface Standing {
  readonly draining: boolean;
  /** for how long it is put aside, in milliseconds; 0 when it is not */
  readonly asideMs: number;
}

/** What a job lacks. */
export interface Shortage {
  readonly needed: number;
  /** workers that are there and could compute it */
  readonly suited: number;
}

interface Worker extends WorkerTraits {
  readonly identity: string;
  draining: boolean;
  readonly leases: Set<number>;
}

interface Block<J extends JobRequest> {
  readonly job: J;
  readonly span: Span;
  /** leases that are out for this block: none while it waits, two when a backup was handed out */
  readonly leases: Set<number>;
  /** failures so far, and the identities of the workers that failed: another worker is tried first */
  failures: number;
  readonly failedOn: Set<string>;
  /** since when it waits, from the first look on */
  waitingSince?: number | undefined;
  /** the worker that answered with something that is not finite, before another one is asked */
  doubted?: string;
}

interface Entry<J extends JobRequest> {
  /** counts jobs, for conduct records that outlive them */
  readonly number: number;
  /** has been cut into blocks */
  started: boolean;
  readonly unfinished: Set<Block<J>>;
}

/** Attempts to compute a block before its job is given up: an error that three attempts share is not the worker's ... */
export const MAX_ATTEMPTS = 3;
/** ... unless somebody has not tried yet. But even then there is an end: a program that fails everywhere fails soon. */
export const MOST_ATTEMPTS = 8;

/** What is known of a worker from trying a block, the best first. */
const TRIAL = { untried: 0, doubted: 1, failed: 2 } as const;
type Trial = (typeof TRIAL)[keyof typeof TRIAL];

/**
 * Work of lower priority that has waited so long, and of which nothing was begun for so long, gets one lease before the updates:
 * more runs than workers would else leave evaluations waiting until the runs end.
 */
const BACKGROUND_PATIENCE_MS = 5_000;

export class LeaseTable<J extends JobRequest> {
  readonly #workers = new Map<string, Worker>();
  readonly #leases = new Map<number, { readonly lease: Lease<J>; readonly block: Block<J> }>();
  /** every job that is not done, in the order in which they came */
  readonly #jobs = new Map<J, Entry<J>>();
  readonly #waiting: Block<J>[] = [];
  readonly #durations = new UsualDurations();
  readonly #conduct = new WorkerConduct();
  /** when work of lower priority was leased last */
  #backgroundAt = -Infinity;
  #nextLease = 1;
  #nextJob = 1;

  /** @param minWorkers an update is begun only while so many workers are there that could compute it */
  constructor(readonly minWorkers = 1) {}

  join(worker: string, traits: WorkerTraits): void {
    this.#workers.set(worker, { identity: worker, ...traits, draining: false, leases: new Set() });
  }

  /** The worker takes no new lease and finishes only the one that it names. Returns those that it gives back. */
  drain(worker: string, finishes?: number): Lease<J>[] {
    const entry = this.#workers.get(worker);
    if (!entry) return [];
    entry.draining = true;
    return this.#release([...entry.leases].filter((id) => id !== finishes));
  }

  /** The worker is gone: its blocks wait again. Returns the leases that it held. */
  leave(worker: string): Lease<J>[] {
    const entry = this.#workers.get(worker);
    if (!entry) return [];
    this.#workers.delete(worker);
    return this.#release([...entry.leases]);
  }

  submit(job: J): void {
    this.#jobs.set(job, { number: this.#nextJob++, started: false, unfinished: new Set() });
  }

  /** Forgets a job; returns the leases that are out for it, so that workers can be told. */
  cancel(job: J): Lease<J>[] {
    const out = [...(this.#jobs.get(job)?.unfinished ?? [])].flatMap((block) => this.#leasesOf(block));
    for (const lease of out) this.#forget(lease.id);
    this.#jobs.delete(job);
    this.#removeWaiting((block) => block.job === job);
    return out;
  }

  /** Hands out what can be handed out. */
  assign(now: number): Lease<J>[] {
    this.#start();
    this.#letBackgroundGo(now);
    const leases: Lease<J>[] = [];
    for (let index = 0; index < this.#waiting.length; ) {
      const block = this.#waiting[index];
      const worker = block && this.#choose(block, now);
      if (!block || worker === undefined) {
        index += 1;
        continue;
      }
      this.#waiting.splice(index, 1);
      leases.push(this.#lease(block, worker, now));
    }
    return [...leases, ...this.#backups(now)];
  }

  /** The lease if it is still wanted: a late or foreign result finds nothing. */
  find(id: number): Lease<J> | undefined {
    return this.#leases.get(id)?.lease;
  }

  /** What keeps a job from going on, if anything does: too few workers to begin it, or none for what waits of it. */
  shortage(job: J): Shortage | undefined {
    const entry = this.#jobs.get(job);
    if (!entry) return undefined;
    const suited = this.#suited(job).length;
    const needed = entry.started ? 1 : this.#needed(job);
    const stands = !entry.started || this.#waiting.some((block) => block.job === job);
    return stands && suited < needed ? { needed, suited } : undefined;
  }

  standing(worker: string, now: number): Standing | undefined {
    const entry = this.#workers.get(worker);
    return entry && { draining: entry.draining, asideMs: this.#conduct.asideMs(entry.identity, now) };
  }

  /**
   * The result of a lease has arrived. Returns undefined when nobody waits for it any more; otherwise whether the job is
   * finished, the leases that have become superfluous, and the worker that is put aside: a finite result shows that whoever
   * gave the block's first answer, which was not finite, is broken.
   */
  complete(id: number, now: number, finite = true): { readonly jobDone: boolean; readonly superfluous: Lease<J>[]; readonly aside: PutAside | undefined } | undefined {
    const entry = this.#leases.get(id);
    if (!entry) return undefined;
    const { lease, block } = entry;
    const aside = finite && block.doubted !== undefined ? this.#blame(block.doubted, lease, now) : undefined;
    this.#forget(id);
    const superfluous = this.#leasesOf(block);
    for (const other of superfluous) this.#forget(other.id);
    this.#durations.remember(lease, now);
    const job = this.#jobs.get(lease.job);
    job?.unfinished.delete(block);
    const jobDone = job?.unfinished.size === 0;
    if (jobDone) this.#jobs.delete(lease.job);
    this.#conduct.succeeded(this.#identity(lease.worker));
    return { jobDone, superfluous, aside };
  }

  /** The worker could not compute the lease, or its result does not fit. */
  fail(id: number, now: number): { readonly giveUp: boolean; readonly aside: PutAside | undefined } {
    const entry = this.#leases.get(id);
    if (!entry) return { giveUp: false, aside: undefined };
    const { lease, block } = entry;
    const identity = this.#identity(lease.worker);
    block.failures += 1;
    block.failedOn.add(identity);
    this.#drop(id);
    const aside = this.#blame(identity, lease, now);
    const giveUp = block.failures >= MOST_ATTEMPTS || (block.failures >= MAX_ATTEMPTS && this.#bestTrial(block, now) === TRIAL.failed);
    return { giveUp, aside };
  }

  /**
   * The result of a lease is not finite. Either that is the truth, or its worker is broken: it is believed (true) when the
   * block's second answer is like that, which another worker gives if there is one. The first time the block waits again.
   */
  doubt(id: number): boolean {
    const entry = this.#leases.get(id);
    if (!entry || entry.block.doubted !== undefined) return entry !== undefined;
    const { lease, block } = entry;
    block.doubted = this.#identity(lease.worker);
    this.#drop(id);
    return false;
  }

  /** Ends a lease without a result and without blame; its block waits again. */
  giveBack(id: number): void {
    this.#drop(id);
  }

  #blame(identity: string, lease: Lease<J>, now: number): PutAside | undefined {
    const ms = this.#conduct.failed(identity, this.#jobs.get(lease.job)?.number ?? 0, now);
    const worker = [...this.#workers].find(([, candidate]) => candidate.identity === identity)?.[0] ?? lease.worker;
    return ms === undefined ? undefined : { worker, ms };
  }

  #identity(worker: string): string {
    return this.#workers.get(worker)?.identity ?? worker;
  }

  #needed(job: J): number {
    return job.priority === 0 && job.pool === undefined ? Math.max(1, this.minWorkers) : 1;
  }

  /** Cuts those jobs that can begin: as finely as there are workers at that moment. */
  #start(): void {
    for (const [job, entry] of this.#jobs) {
      if (entry.started) continue;
      const suited = this.#suited(job).length;
      if (suited < this.#needed(job)) continue;
      const largest = job.blocks === 'single' ? 1 : 2 ** Math.floor(Math.log2(Math.max(1, job.microBatches / suited)));
      const blocks = cutIntoBlocks(job.microBatches, largest).map((span): Block<J> => ({ job, span, leases: new Set(), failures: 0, failedOn: new Set() }));
      for (const block of blocks) entry.unfinished.add(block);
      entry.started = true;
      this.#enqueue(blocks);
    }
  }

  /** Workers that may compute the job, busy ones included. */
  #suited(job: J): [name: string, worker: Worker][] {
    const pool = job.pool ?? '';
    return [...this.#workers].filter(([, worker]) => !worker.draining && worker.execution === job.execution && worker.pool === pool);
  }

  /** What is known of a worker from trying the block. */
  #trial({ failedOn, doubted }: Block<J>, { identity }: Worker): Trial {
    return failedOn.has(identity) ? TRIAL.failed : identity === doubted ? TRIAL.doubted : TRIAL.untried;
  }

  /** Workers that may get the block now or when they have finished something else. */
  #eligible(block: Block<J>, now: number, except?: string): [name: string, worker: Worker][] {
    return this.#suited(block.job).filter(([name, { identity }]) => name !== except && !this.#conduct.isAside(identity, now));
  }

  /** The best that is known of anybody who may get the block. */
  #bestTrial(block: Block<J>, now: number, except?: string): Trial {
    return this.#eligible(block, now, except).reduce<Trial>((best, [, worker]) => Math.min(best, this.#trial(block, worker)) as Trial, TRIAL.failed);
  }

  /**
   * The least loaded of those workers of which the best is known. While such a worker exists the block waits for it, even when
   * it is busy: a broken worker, always free, would else use up the attempts of every block.
   */
  #choose(block: Block<J>, now: number, except?: string): string | undefined {
    const best = this.#bestTrial(block, now, except);
    const candidates = this.#eligible(block, now, except).filter(([, worker]) => worker.leases.size < worker.capacity && this.#trial(block, worker) === best);
    return candidates.sort(([, a], [, b]) => a.leases.size - b.leases.size)[0]?.[0];
  }

  #lease(block: Block<J>, worker: string, now: number, backupOf?: string): Lease<J> {
    const lease: Lease<J> = { id: this.#nextLease++, job: block.job, span: block.span, worker, assignedAt: now, ...(backupOf === undefined ? {} : { backupOf }) };
    this.#leases.set(lease.id, { lease, block });
    block.leases.add(lease.id);
    this.#workers.get(worker)?.leases.add(lease.id);
    block.waitingSince = undefined;
    if (block.job.priority > 0) this.#backgroundAt = now;
    return lease;
  }

  #backups(now: number): Lease<J>[] {
    const backups: Lease<J>[] = [];
    for (const { lease, block } of [...this.#leases.values()]) {
      if (block.leases.size > 1 || now - lease.assignedAt < this.#durations.patience(lease)) continue;
      const worker = this.#choose(block, now, lease.worker);
      if (worker !== undefined) backups.push(this.#lease(block, worker, now, lease.worker));
    }
    return backups;
  }

  #leasesOf(block: Block<J>): Lease<J>[] {
    return [...block.leases].flatMap((id) => this.find(id) ?? []);
  }

  #release(ids: readonly number[]): Lease<J>[] {
    const released = ids.flatMap((id) => this.find(id) ?? []);
    for (const { id } of released) this.#drop(id);
    return released;
  }

  /** Ends a lease without a result; its block waits again unless another lease still works on it. */
  #drop(id: number): void {
    const block = this.#leases.get(id)?.block;
    this.#forget(id);
    if (block && block.leases.size === 0) this.#enqueue([block]);
  }

  #forget(id: number): void {
    const entry = this.#leases.get(id);
    if (!entry) return;
    this.#leases.delete(id);
    entry.block.leases.delete(id);
    this.#workers.get(entry.lease.worker)?.leases.delete(id);
  }

  #enqueue(blocks: readonly Block<J>[]): void {
    this.#waiting.push(...blocks);
    this.#waiting.sort((a, b) => a.job.priority - b.job.priority);
  }

  #letBackgroundGo(now: number): void {
    for (const block of this.#waiting) block.waitingSince ??= now;
    const index = this.#waiting.findIndex(({ job, waitingSince = now }) => job.priority > 0 && this.#suited(job).length > 0 && now - Math.max(waitingSince, this.#backgroundAt) >= BACKGROUND_PATIENCE_MS);
    if (index > 0) this.#waiting.unshift(...this.#waiting.splice(index, 1));
  }

  #removeWaiting(remove: (block: Block<J>) => boolean): void {
    const keep = this.#waiting.filter((block) => !remove(block));
    this.#waiting.splice(0, this.#waiting.length, ...keep);
  }
}
