import { cutIntoBlocks, type Span } from './reduction-tree.js';

/**
 * Who computes what: a state machine without I/O or clock. Jobs are cut into blocks of micro-batches; blocks are leased to
 * workers, the least loaded first; the block of a lost worker is leased again; a straggler's block is leased a second time
 * and the first result wins. Every decision is a function of the calls made so far.
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
}

export interface Lease<J extends JobRequest = JobRequest> {
  readonly id: number;
  readonly job: J;
  readonly span: Span;
  readonly worker: string;
  readonly assignedAt: number;
}

interface Worker {
  readonly capacity: number;
  readonly execution: string;
  draining: boolean;
  readonly leases: Set<number>;
}

interface Block<J extends JobRequest> {
  readonly job: J;
  readonly span: Span;
  /** leases that are out for this block: none while it waits, two when a backup was handed out */
  readonly leases: Set<number>;
  /** failures so far, and the workers that failed: another worker is tried first */
  failures: number;
  readonly failedOn: Set<string>;
}

/** Attempts to compute a block before its job is given up: an error that three attempts share is not the worker's. */
export const MAX_ATTEMPTS = 3;

/** A lease that takes this many times longer than is usual for its program is a straggler, and gets a backup on an idle worker. */
const STRAGGLER_FACTOR = 4;
const STRAGGLER_FLOOR_MS = 2_000;
/** Before so many leases of a program are done, nobody knows what is usual, and only this long a silence is a straggler's. */
const KNOWN_DURATIONS = 8;
const STRAGGLER_UNKNOWN_MS = 60_000;
/** durations that are remembered of a program, and programs that are remembered */
const DURATIONS_KEPT = 64;
const PROGRAMS_KEPT = 32;

export class LeaseTable<J extends JobRequest> {
  readonly #workers = new Map<string, Worker>();
  readonly #leases = new Map<number, { readonly lease: Lease<J>; readonly block: Block<J> }>();
  /** unfinished blocks of every job */
  readonly #blocks = new Map<J, Set<Block<J>>>();
  readonly #waiting: Block<J>[] = [];
  /** milliseconds per micro-batch of the last leases, by program */
  readonly #durations = new Map<string, number[]>();
  #nextLease = 1;

  join(worker: string, capacity: number, execution: string): void {
    this.#workers.set(worker, { capacity, execution, draining: false, leases: new Set() });
  }

  /** The worker takes no new lease; what it computes still counts. */
  drain(worker: string): void {
    const entry = this.#workers.get(worker);
    if (entry) entry.draining = true;
  }

  /** The worker is gone: its blocks wait again. Returns the leases that it held. */
  leave(worker: string): Lease<J>[] {
    const entry = this.#workers.get(worker);
    if (!entry) return [];
    this.#workers.delete(worker);
    const held = [...entry.leases].flatMap((id) => this.find(id) ?? []);
    for (const { id } of held) this.#drop(id);
    return held;
  }

  submit(job: J): void {
    const largest = job.blocks === 'single' ? 1 : 2 ** Math.floor(Math.log2(Math.max(1, job.microBatches / Math.max(1, this.#suited(job).length))));
    const blocks = cutIntoBlocks(job.microBatches, largest).map((span): Block<J> => ({ job, span, leases: new Set(), failures: 0, failedOn: new Set() }));
    this.#blocks.set(job, new Set(blocks));
    this.#enqueue(blocks);
  }

  /** Forgets a job; returns the leases that are out for it, so that workers can be told. */
  cancel(job: J): Lease<J>[] {
    const out = [...(this.#blocks.get(job) ?? [])].flatMap((block) => this.#leasesOf(block));
    for (const lease of out) this.#forget(lease.id);
    this.#blocks.delete(job);
    this.#removeWaiting((block) => block.job === job);
    return out;
  }

  /** Hands out what can be handed out at time `now` (milliseconds, monotonic). */
  assign(now: number): Lease<J>[] {
    const leases: Lease<J>[] = [];
    for (let index = 0; index < this.#waiting.length; ) {
      const block = this.#waiting[index];
      const worker = block && this.#choose(block);
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

  /**
   * The result of a lease has arrived. Returns undefined when nobody waits for it any more; otherwise whether the job is
   * finished, and the leases that have become superfluous.
   */
  complete(id: number, now: number): { readonly jobDone: boolean; readonly superfluous: Lease<J>[] } | undefined {
    const entry = this.#leases.get(id);
    if (!entry) return undefined;
    const { lease, block } = entry;
    this.#forget(id);
    const superfluous = this.#leasesOf(block);
    for (const other of superfluous) this.#forget(other.id);
    this.#remember(lease, now);
    const unfinished = this.#blocks.get(lease.job);
    unfinished?.delete(block);
    const jobDone = unfinished?.size === 0;
    if (jobDone) this.#blocks.delete(lease.job);
    return { jobDone, superfluous };
  }

  /** The worker could not compute the lease. Returns true when its job must be given up. */
  fail(id: number): boolean {
    const entry = this.#leases.get(id);
    if (!entry) return false;
    const { lease, block } = entry;
    block.failures += 1;
    block.failedOn.add(lease.worker);
    this.#drop(id);
    return block.failures >= MAX_ATTEMPTS;
  }

  /** Workers that may compute the job, busy ones included. */
  #suited(job: J): [name: string, worker: Worker][] {
    return [...this.#workers].filter(([, worker]) => !worker.draining && worker.execution === job.execution);
  }

  /**
   * The least loaded worker that has not failed on the block. While such a worker exists the block waits for it, even when
   * it is busy: a broken worker, always free, would else use up the attempts of every block.
   */
  #choose(block: Block<J>, except?: string): string | undefined {
    const suited = this.#suited(block.job);
    const untried = suited.some(([name]) => name !== except && !block.failedOn.has(name));
    const candidates = suited.filter(([name, worker]) => name !== except && worker.leases.size < worker.capacity && (!untried || !block.failedOn.has(name)));
    return candidates.sort(([, a], [, b]) => a.leases.size - b.leases.size)[0]?.[0];
  }

  #lease(block: Block<J>, worker: string, now: number): Lease<J> {
    const lease: Lease<J> = { id: this.#nextLease++, job: block.job, span: block.span, worker, assignedAt: now };
    this.#leases.set(lease.id, { lease, block });
    block.leases.add(lease.id);
    this.#workers.get(worker)?.leases.add(lease.id);
    return lease;
  }

  #backups(now: number): Lease<J>[] {
    const backups: Lease<J>[] = [];
    for (const { lease, block } of [...this.#leases.values()]) {
      if (block.leases.size > 1 || now - lease.assignedAt < this.#patience(lease)) continue;
      const worker = this.#choose(block, lease.worker);
      if (worker !== undefined) backups.push(this.#lease(block, worker, now));
    }
    return backups;
  }

  /** How long a lease may take before it counts as a straggler, in milliseconds. */
  #patience({ job, span }: Lease<J>): number {
    const known = this.#durations.get(job.programId) ?? [];
    if (known.length < KNOWN_DURATIONS) return STRAGGLER_UNKNOWN_MS;
    const median = [...known].sort((a, b) => a - b)[known.length >> 1] ?? 0;
    return Math.max(STRAGGLER_FLOOR_MS, STRAGGLER_FACTOR * median * (span.to - span.from));
  }

  #remember({ job, span, assignedAt }: Lease<J>, now: number): void {
    const known = this.#durations.get(job.programId) ?? [];
    known.push((now - assignedAt) / (span.to - span.from));
    if (known.length > DURATIONS_KEPT) known.shift();
    this.#durations.delete(job.programId);
    this.#durations.set(job.programId, known);
    for (const programId of this.#durations.keys()) {
      if (this.#durations.size <= PROGRAMS_KEPT) break;
      this.#durations.delete(programId);
    }
  }

  #leasesOf(block: Block<J>): Lease<J>[] {
    return [...block.leases].flatMap((id) => this.find(id) ?? []);
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

  #removeWaiting(remove: (block: Block<J>) => boolean): void {
    const keep = this.#waiting.filter((block) => !remove(block));
    this.#waiting.splice(0, this.#waiting.length, ...keep);
  }
}
