import type { Hello } from '@dd2/proto';
import type { Job, LeaseObserver } from '../dispatcher.js';
import type { Lease } from '../lease-table.js';
import { RateWindow } from './rate-window.js';

/** What leases came to. They only grow. */
export interface LeaseCounts {
  done: number;
  failed: number;
  /** backup leases that others were given for them */
  straggled: number;
  microBatches: number;
  computeSeconds: number;
}

/** A connected worker, as it is now. */
export interface ActiveWorker {
  readonly session: string;
  readonly hello: Hello;
  readonly joinedAt: Date;
  readonly lastHeardAt: Date;
  readonly leases: readonly { readonly lease: Lease<Job>; readonly heldSeconds: number }[];
  /** since it joined */
  readonly counts: Readonly<LeaseCounts>;
  /** over the last minute, or since it joined */
  readonly microBatchesPerSecond: number;
  /** share of that time in which it computed, from 0 to 1 */
  readonly busy: number;
}

interface Entry {
  readonly hello: Hello;
  readonly joinedAt: Date;
  lastHeard: number;
  readonly leases: Map<number, Lease<Job>>;
  readonly counts: LeaseCounts;
  readonly ofName: LeaseCounts;
  readonly microBatches: RateWindow;
  readonly computing: RateWindow;
  /** when it was done with a lease last */
  doneAt: number;
}

/**
 * What the connected workers do: told by their sessions and by the dispatcher, asked by people. It holds a few numbers for each
 * worker, whatever happens, and nothing of those that have gone.
 */
export class WorkerActivity implements LeaseObserver {
  readonly #workers = new Map<string, Entry>();
  /** by name, of the sessions that workers of that name had since one of them is connected without a break */
  readonly #names = new Map<string, { readonly counts: LeaseCounts; sessions: number }>();
  readonly #all = noLeases();

  /** @param now milliseconds, the dispatcher's clock */
  constructor(readonly now: () => number = () => performance.now()) {}

  joined(session: string, hello: Hello): void {
    this.left(session);
    const ofName = this.#names.get(hello.name) ?? { counts: noLeases(), sessions: 0 };
    ofName.sessions += 1;
    this.#names.set(hello.name, ofName);
    const now = this.now();
    this.#workers.set(session, {
      hello,
      joinedAt: new Date(),
      lastHeard: now,
      leases: new Map(),
      counts: noLeases(),
      ofName: ofName.counts,
      microBatches: new RateWindow(now),
      computing: new RateWindow(now),
      doneAt: -Infinity,
    });
  }

  heard(session: string): void {
    const worker = this.#workers.get(session);
    if (worker) worker.lastHeard = this.now();
  }

  left(session: string): void {
    const worker = this.#workers.get(session);
    if (!worker) return;
    this.#workers.delete(session);
    const ofName = this.#names.get(worker.hello.name);
    if (ofName && --ofName.sessions === 0) this.#names.delete(worker.hello.name);
  }

  leased(lease: Lease<Job>): void {
    this.#workers.get(lease.worker)?.leases.set(lease.id, lease);
    if (lease.backupOf !== undefined) this.#count(lease.backupOf, (counts) => (counts.straggled += 1));
  }

  done(lease: Lease<Job>, computeMs: number): void {
    this.released(lease);
    const now = this.now();
    const microBatches = lease.span.to - lease.span.from;
    const computing = Math.max(0, Math.min(computeMs, now - lease.assignedAt)); // whatever the worker says
    this.#count(lease.worker, (counts) => {
      counts.done += 1;
      counts.microBatches += microBatches;
      counts.computeSeconds += computing / 1_000;
    });
    const worker = this.#workers.get(lease.worker);
    if (!worker) return;
    worker.microBatches.add(microBatches, now);
    worker.computing.addTime(now - computing, now);
    worker.doneAt = now;
  }

  failed(lease: Lease<Job>): void {
    this.released(lease);
    this.#count(lease.worker, (counts) => (counts.failed += 1));
  }

  released({ id, worker }: Lease<Job>): void {
    this.#workers.get(worker)?.leases.delete(id);
  }

  /** Since the coordinator was started, of all workers. */
  get all(): Readonly<LeaseCounts> {
    return this.#all;
  }

  /** By the name of connected workers: a worker that dials again while one of its name is connected goes on counting. */
  get byName(): readonly (readonly [name: string, counts: Readonly<LeaseCounts>])[] {
    return [...this.#names].map(([name, { counts }]) => [name, counts]);
  }

  /** By name. */
  get workers(): readonly ActiveWorker[] {
    const now = this.now();
    const clock = Date.now();
    return [...this.#workers]
      .map(([session, worker]): ActiveWorker => {
        const { hello, joinedAt, lastHeard, leases, counts, microBatches } = worker;
        return {
          session,
          hello,
          joinedAt,
          lastHeardAt: new Date(clock - (now - lastHeard)),
          leases: [...leases.values()].map((lease) => ({ lease, heldSeconds: Math.max(0, now - lease.assignedAt) / 1_000 })),
          counts: { ...counts },
          microBatchesPerSecond: microBatches.perSecond(now),
          busy: busyShare(worker, now),
        };
      })
      .sort((a, b) => compare(a.hello.name, b.hello.name) || a.joinedAt.getTime() - b.joinedAt.getTime() || compare(a.session, b.session));
  }

  #count(session: string, change: (counts: LeaseCounts) => void): void {
    change(this.#all);
    const worker = this.#workers.get(session);
    if (!worker) return;
    change(worker.counts);
    change(worker.ofName);
  }
}

/** What it reported, and, of a lease that it has not reported yet, the time since it could begin with it. */
function busyShare({ computing, leases, doneAt }: Entry, now: number): number {
  const covered = computing.coveredMs(now);
  const [oldest] = leases.values(); // of those that it holds it computes one after the other
  const since = oldest ? Math.max(oldest.assignedAt, doneAt, now - covered) : now;
  return Math.min(1, (computing.sum(now) + now - since) / covered);
}

function noLeases(): LeaseCounts {
  return { done: 0, failed: 0, straggled: 0, microBatches: 0, computeSeconds: 0 };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
