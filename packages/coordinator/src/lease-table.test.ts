import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseTable, MAX_ATTEMPTS, MOST_ATTEMPTS, type JobRequest, type Lease, type WorkerTraits } from './lease-table.js';

interface TestJob extends JobRequest {
  readonly name: string;
}

function job(name: string, microBatches: number, more: Partial<TestJob> = {}): TestJob {
  return { name, microBatches, blocks: 'summed', priority: 0, execution: 'cpu', programId: 'program', ...more };
}

function traits(more: Partial<WorkerTraits> = {}): WorkerTraits {
  return { capacity: 1, execution: 'cpu', pool: '', ...more };
}

interface TestWorker extends WorkerTraits {
  draining: boolean;
  readonly leases: Map<number, Lease<TestJob>>;
}

/** A cluster without time: keeps what the table must keep to, and checks it after every step. */
class Cluster {
  readonly table: LeaseTable<TestJob>;
  readonly workers = new Map<string, TestWorker>();
  /** times that each micro-batch of a job was completed */
  readonly done = new Map<TestJob, number[]>();
  readonly begun = new Set<TestJob>();
  readonly finished = new Set<TestJob>();
  readonly abandoned = new Set<TestJob>();
  readonly failures = new Map<TestJob, number>();
  /** blocks whose first answer was not finite */
  readonly doubted = new Map<string, string>();
  now = 0;

  constructor(readonly minWorkers: number) {
    this.table = new LeaseTable(minWorkers);
  }

  submit(submitted: TestJob): void {
    this.done.set(submitted, new Array<number>(submitted.microBatches).fill(0));
    this.table.submit(submitted);
    this.assign();
  }

  join(name: string, joined: WorkerTraits): void {
    this.workers.set(name, { ...joined, draining: false, leases: new Map() });
    this.table.join(name, joined);
    this.assign();
  }

  leave(name: string): void {
    const held = [...(this.workers.get(name)?.leases.keys() ?? [])].sort();
    this.workers.delete(name);
    expect(this.table.leave(name).map(({ id }) => id).sort()).toEqual(held);
    this.assign();
  }

  /** It finishes one of its leases at most. */
  drain(name: string, pick: number): void {
    const worker = this.workers.get(name);
    if (!worker) return;
    worker.draining = true;
    const held = [...worker.leases.keys()];
    const finishes = held[pick % (held.length + 1)];
    const given = this.table.drain(name, finishes);
    expect(given.map(({ id }) => id).sort()).toEqual(held.filter((id) => id !== finishes).sort());
    for (const { id } of given) worker.leases.delete(id);
    this.assign();
  }

  suited({ execution, pool }: TestJob): TestWorker[] {
    return [...this.workers.values()].filter((worker) => !worker.draining && worker.execution === execution && worker.pool === (pool ?? ''));
  }

  assign(): void {
    const enough = new Map([...this.done.keys()].map((submitted) => [submitted, this.suited(submitted).length >= (submitted.priority === 0 && !submitted.pool ? this.minWorkers : 1)]));
    for (const lease of this.table.assign(this.now)) {
      const worker = this.workers.get(lease.worker);
      expect(this.suited(lease.job), 'a lease goes to a suited worker that is there and does not drain').toContain(worker);
      worker?.leases.set(lease.id, lease);
      expect(worker?.leases.size).toBeLessThanOrEqual(worker?.capacity ?? 0);
      expect(this.begun.has(lease.job) || enough.get(lease.job), 'a job is begun with enough workers').toBe(true);
      this.begun.add(lease.job);
      const twins = this.twins(lease);
      expect(twins.length, 'one backup at most').toBeLessThanOrEqual(2);
      expect(new Set(twins.map(({ worker: name }) => name)).size, 'on another worker').toBe(twins.length);
      expect(lease.backupOf, 'a backup says whose').toBe(twins.find(({ id }) => id !== lease.id)?.worker);
    }
  }

  twins({ job: of, span }: Lease<TestJob>): Lease<TestJob>[] {
    return this.out.filter(({ job: other, span: { from } }) => other === of && span.from === from);
  }

  get out(): Lease<TestJob>[] {
    return [...this.workers.values()].flatMap(({ leases }) => [...leases.values()]);
  }

  complete(lease: Lease<TestJob>): void {
    this.#take(lease);
    const result = this.table.complete(lease.id, this.now);
    expect(result, 'a lease that is out is wanted').toBeDefined();
    for (const other of result?.superfluous ?? []) this.#take(other);
    const counts = this.done.get(lease.job) ?? [];
    for (let index = lease.span.from; index < lease.span.to; index++) counts[index] = (counts[index] ?? 0) + 1;
    expect(result?.jobDone).toBe(counts.every((count) => count === 1));
    if (result?.jobDone) this.finished.add(lease.job);
    this.isOver(lease);
    this.assign();
  }

  fail(lease: Lease<TestJob>): void {
    this.#take(lease);
    this.failures.set(lease.job, (this.failures.get(lease.job) ?? 0) + 1);
    if (this.table.fail(lease.id, this.now).giveUp) {
      this.abandoned.add(lease.job);
      for (const other of this.table.cancel(lease.job)) this.#take(other);
    }
    this.isOver(lease);
    this.assign();
  }

  /** The answer of a lease is not finite: it counts when it is the block's second of that kind. */
  doubt(lease: Lease<TestJob>): void {
    const block = `${lease.job.name} ${lease.span.from}`;
    expect(this.table.doubt(lease.id)).toBe(this.doubted.has(block));
    if (this.doubted.has(block)) return this.complete(lease);
    this.doubted.set(block, lease.worker);
    this.#take(lease);
    this.isOver(lease);
    this.assign();
  }

  giveBack(lease: Lease<TestJob>): void {
    this.#take(lease);
    this.table.giveBack(lease.id);
    this.isOver(lease);
    this.assign();
  }

  /** Whatever still comes of a lease that is over changes nothing. */
  isOver({ id }: Lease<TestJob>): void {
    expect(this.table.find(id)).toBeUndefined();
    expect(this.table.complete(id, this.now)).toBeUndefined();
    expect(this.table.fail(id, this.now)).toEqual({ giveUp: false, aside: undefined });
    expect(this.table.doubt(id)).toBe(false);
    this.table.giveBack(id);
  }

  /** Time passes and every lease succeeds, until nothing is out any more. */
  settle(): void {
    do {
      this.now += 1_000_000;
      this.assign();
      for (let lease = this.out[0]; lease; lease = this.out[0]) this.complete(lease);
    } while (this.out.length > 0);
  }

  #take({ worker, id }: Lease<TestJob>): void {
    this.workers.get(worker)?.leases.delete(id);
  }
}

const execution = fc.constantFrom('cpu', 'cpu', 'cuda');
const pool = fc.constantFrom(undefined, undefined, 'teacher' as const);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('complete' as const), pick: fc.nat(50) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), pick: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('doubt' as const), pick: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('giveBack' as const), pick: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('join' as const), capacity: fc.integer({ min: 1, max: 3 }), execution, pool }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), pick: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const), pick: fc.nat(50), finishes: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 100_000 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('submit' as const), microBatches: fc.integer({ min: 1, max: 17 }), single: fc.boolean(), priority: fc.integer({ min: 0, max: 2 }), execution, pool }) },
);

describe('LeaseTable', () => {
  it('completes every micro-batch exactly once or gives the job up, under any schedule, while suited workers remain', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 3 }), (steps, minWorkers) => {
        const cluster = new Cluster(minWorkers);
        let names = 0;
        const pick = <T>(from: readonly T[], index: number): T | undefined => from[index % Math.max(1, from.length)];
        for (const action of steps) {
          switch (action.kind) {
            case 'complete':
            case 'fail':
            case 'doubt':
            case 'giveBack': {
              const lease = pick(cluster.out, action.pick);
              if (lease) cluster[action.kind](lease);
              break;
            }
            case 'join':
              cluster.join(`worker-${names++}`, traits({ capacity: action.capacity, execution: action.execution, pool: action.pool ?? '' }));
              break;
            case 'leave':
            case 'drain': {
              const name = pick([...cluster.workers.keys()], action.pick);
              if (name === undefined) break;
              if (action.kind === 'leave') cluster.leave(name);
              else cluster.drain(name, action.finishes);
              break;
            }
            case 'wait':
              cluster.now += action.ms;
              cluster.assign();
              break;
            case 'submit': {
              const { microBatches, single, priority, execution: kind, pool: group } = action;
              cluster.submit(job(`job-${names++}`, microBatches, { blocks: single ? 'single' : 'summed', priority, execution: kind, ...(group ? { pool: group } : {}) }));
              break;
            }
          }
        }
        // From here on every lease succeeds: what stands now lacks workers, and says so.
        cluster.settle();
        for (const submitted of cluster.done.keys()) {
          if (cluster.finished.has(submitted) || cluster.abandoned.has(submitted)) expect(cluster.table.shortage(submitted)).toBeUndefined();
          else expect(cluster.table.shortage(submitted)?.suited).toBe(cluster.suited(submitted).length);
        }
        for (const kind of ['cpu', 'cuda']) for (const group of ['', 'teacher']) for (let i = 0; i < minWorkers; i++) cluster.join(`last-${names++}`, traits({ execution: kind, pool: group }));
        cluster.settle();
        for (const [submitted, counts] of cluster.done) {
          if (cluster.abandoned.has(submitted)) expect(cluster.failures.get(submitted)).toBeGreaterThanOrEqual(MAX_ATTEMPTS);
          else expect(counts).toEqual(counts.map(() => 1));
          expect(cluster.finished.has(submitted)).toBe(!cluster.abandoned.has(submitted));
        }
      }),
      { numRuns: 400 },
    );
  });

  it('cuts a job by the number of workers, or not at all', () => {
    const table = new LeaseTable<TestJob>();
    for (const name of ['a', 'b', 'c']) table.join(name, traits({ capacity: 8 }));
    table.submit(job('summed', 8));
    expect(table.assign(0).map(({ span }) => span.to - span.from)).toEqual([2, 2, 2, 2]);
    table.submit(job('single', 3, { blocks: 'single' }));
    expect(table.assign(0).map(({ span }) => span.to - span.from)).toEqual([1, 1, 1]);
  });

  it('leases what is more urgent first', () => {
    const table = new LeaseTable<TestJob>();
    table.submit(job('evaluation', 2, { blocks: 'single', priority: 1 }));
    table.submit(job('update', 1));
    table.join('a', traits({ capacity: 2 }));
    expect(table.assign(0).map((lease) => lease.job.name)).toEqual(['update', 'evaluation']);
  });

  it('lets an evaluation have a lease now and then when there are always updates that wait', () => {
    const table = new LeaseTable<TestJob>();
    table.join('a', traits({ capacity: 1 }));
    table.submit(job('foreign', 1, { priority: 1, execution: 'cuda' })); // nobody is there for it, and it holds nobody up
    table.submit(job('evaluation', 3, { blocks: 'single', priority: 1 }));
    const leased: [number, string][] = [];
    for (let now = 0; now < 30_000; now += 500) {
      table.submit(job(`update ${now}`, 1));
      for (const { id, job: { name } } of table.assign(now)) {
        if (!name.startsWith('update')) leased.push([now, name]);
        table.complete(id, now);
      }
    }
    expect(leased).toEqual([[5_000, 'evaluation'], [10_000, 'evaluation'], [15_000, 'evaluation']]);
  });

  it('gives a straggler one backup, on another worker, and the first result wins', () => {
    const table = new LeaseTable<TestJob>();
    table.join('fast', traits({ capacity: 8 }));
    table.submit(job('warm-up', 8, { blocks: 'single' }));
    for (const { id } of table.assign(0)) table.complete(id, 100);
    table.join('slow', traits());
    table.drain('fast');
    table.submit(job('update', 1));
    const [first] = table.assign(1_000);
    expect(first?.worker).toBe('slow');
    table.join('idle', traits());
    expect(table.assign(1_000 + 1_999)).toEqual([]);
    const [backup] = table.assign(1_000 + 2_000);
    expect(backup).toMatchObject({ worker: 'idle', span: first?.span });
    expect(table.assign(90_000)).toEqual([]);
    expect(table.complete(backup?.id ?? 0, 90_000)).toMatchObject({ jobDone: true, superfluous: [first] });
    expect(table.find(first?.id ?? 0)).toBeUndefined();
  });

  it('does not take a long program for a straggler of a short one', () => {
    const table = new LeaseTable<TestJob>();
    table.join('a', traits({ capacity: 8 }));
    table.join('b', traits({ capacity: 8 }));
    table.submit(job('updates', 8, { blocks: 'single' }));
    for (const { id } of table.assign(0)) table.complete(id, 10);
    table.submit(job('evaluation', 1, { programId: 'evaluation' }));
    table.assign(10);
    expect(table.assign(10 + 30_000)).toEqual([]);
    expect(table.assign(10 + 60_000)).toHaveLength(1);
  });

  it('lets a block wait for a busy worker rather than use up its attempts on a broken one', () => {
    const table = new LeaseTable<TestJob>();
    table.join('good', traits());
    table.join('broken', traits());
    const submitted = job('update', 2, { blocks: 'single' });
    table.submit(submitted);
    const leases = table.assign(0);
    const of = (name: string): number => leases.find(({ worker }) => worker === name)?.id ?? 0;
    expect(table.fail(of('broken'), 0).giveUp).toBe(false);
    expect(table.assign(1)).toEqual([]);
    expect(table.complete(of('good'), 2)?.jobDone).toBe(false);
    const [again] = table.assign(2);
    expect(again?.worker).toBe('good');
    expect(table.complete(again?.id ?? 0, 3)?.jobDone).toBe(true);
  });

  it(`gives a job up after ${MAX_ATTEMPTS} failures of one block, also with a single worker`, () => {
    const table = new LeaseTable<TestJob>();
    table.join('only', traits());
    table.submit(job('update', 1));
    const outcomes = Array.from({ length: MAX_ATTEMPTS }, () => table.fail(table.assign(0)[0]?.id ?? 0, 0).giveUp);
    expect(outcomes).toEqual([false, false, true]);
  });

  it('forgets a cancelled job', () => {
    const table = new LeaseTable<TestJob>();
    table.join('a', traits());
    const cancelled = job('update', 4, { blocks: 'single' });
    table.submit(cancelled);
    const [lease] = table.assign(0);
    expect(table.cancel(cancelled)).toEqual([lease]);
    expect(table.complete(lease?.id ?? 0, 1)).toBeUndefined();
    expect(table.fail(lease?.id ?? 0, 1).giveUp).toBe(false);
    expect(table.assign(2)).toEqual([]);
  });

  it('leases a job only to workers of the kind that it is pinned to', () => {
    const table = new LeaseTable<TestJob>();
    table.join('other', traits({ capacity: 8, execution: 'cuda' }));
    const pinned = job('pinned', 4);
    table.submit(pinned);
    expect(table.assign(0)).toEqual([]);
    table.join('suited', traits({ capacity: 8 }));
    expect(table.assign(0).map(({ worker }) => worker)).toEqual(expect.arrayContaining(['suited']));
    expect(table.assign(0)).toEqual([]);
  });

  it('hands out backups also while a block waits that nobody here may compute', () => {
    const table = new LeaseTable<TestJob>();
    table.join('slow', traits());
    table.submit(job('update', 1));
    expect(table.assign(0)).toHaveLength(1);
    table.submit(job('elsewhere', 1, { execution: 'cuda' }));
    table.join('idle', traits());
    expect(table.assign(1_000)).toEqual([]);
    expect(table.assign(1e9).map(({ worker }) => worker)).toEqual(['idle']);
  });

  it('asks everybody before it gives a job up, but not for ever', () => {
    const table = new LeaseTable<TestJob>();
    for (const name of ['broken 1', 'broken 2', 'broken 3', 'honest']) table.join(name, traits());
    table.submit(job('update', 1));
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) expect(table.fail(table.assign(0)[0]?.id ?? 0, 0).giveUp).toBe(false);
    expect(table.assign(0)).toMatchObject([{ worker: 'honest' }]);

    const many = new LeaseTable<TestJob>();
    for (let i = 0; i < 100; i++) many.join(String(i), traits());
    many.submit(job('update', 1));
    const outcomes = Array.from({ length: MOST_ATTEMPTS }, () => many.fail(many.assign(0)[0]?.id ?? 0, 0).giveUp);
    expect(outcomes.map((giveUp, i) => giveUp === (i === MOST_ATTEMPTS - 1))).not.toContain(false);
  });

  it('leases what belongs to a pool to the pool alone, and nothing else to it', () => {
    const table = new LeaseTable<TestJob>();
    table.join('pool', traits({ capacity: 8, pool: 'teacher' }));
    table.join('other', traits({ capacity: 8 }));
    table.submit(job('query', 2, { blocks: 'single', pool: 'teacher' }));
    table.submit(job('update', 2, { blocks: 'single' }));
    expect(table.assign(0).map((lease) => `${lease.job.name} ${lease.worker}`)).toEqual(['query pool', 'query pool', 'update other', 'update other']);
    table.leave('pool');
    table.submit(job('next', 1, { pool: 'teacher' }));
    expect(table.assign(1)).toEqual([]);
  });

  it('begins an update with enough workers and cuts it then; what is begun goes on with fewer, and evaluations need one', () => {
    const table = new LeaseTable<TestJob>(2);
    const update = job('update', 4);
    table.join('a', traits());
    table.join('elsewhere', traits({ execution: 'cuda' }));
    table.submit(update);
    table.submit(job('evaluation', 1, { priority: 1 }));
    expect(table.assign(0)).toMatchObject([{ job: { name: 'evaluation' }, worker: 'a' }]);
    expect(table.shortage(update)).toEqual({ needed: 2, suited: 1 });
    table.join('b', traits());
    expect(table.assign(1)).toMatchObject([{ worker: 'b', span: { from: 0, to: 2 } }]);
    expect(table.shortage(update)).toBeUndefined();
    table.leave('a');
    expect(table.shortage(update)).toBeUndefined();
    table.leave('b');
    expect(table.shortage(update)).toEqual({ needed: 1, suited: 0 });
    table.join('c', traits({ capacity: 3 }));
    expect(table.assign(2)).toHaveLength(3); // both blocks of the update, and the evaluation
  });

  it('gives back at once what a draining worker does not finish', () => {
    const table = new LeaseTable<TestJob>();
    table.join('leaving', traits({ capacity: 3 }));
    table.submit(job('update', 3, { blocks: 'single' }));
    const [first, second, third] = table.assign(0);
    table.join('staying', traits({ capacity: 3 }));
    expect(table.drain('leaving', second?.id)).toEqual([first, third]);
    expect(table.assign(0)).toMatchObject([{ worker: 'staying' }, { worker: 'staying' }]);
    expect(table.complete(second?.id ?? 0, 1)).toBeDefined();
  });

  it('believes what is not finite when a second worker says it too', () => {
    const table = new LeaseTable<TestJob>();
    table.join('a', traits());
    table.join('b', traits());
    table.submit(job('update', 1));
    const [first] = table.assign(0);
    expect(first?.worker).toBe('a');
    expect(table.doubt(first?.id ?? 0)).toBe(false);
    const [second] = table.assign(0);
    expect(second?.worker).toBe('b');
    expect(table.doubt(second?.id ?? 0)).toBe(true);
    expect(table.complete(second?.id ?? 0, 1, false)).toEqual({ jobDone: true, superfluous: [], aside: undefined });
  });

  it('waits for a second worker that is busy; a single worker is believed when it says so twice', () => {
    const table = new LeaseTable<TestJob>();
    table.join('a', traits());
    table.join('b', traits());
    table.submit(job('busy', 1));
    table.submit(job('update', 1));
    const [busy, first] = table.assign(0);
    expect(table.doubt(first?.id ?? 0)).toBe(false);
    expect(table.assign(1)).toEqual([]);
    table.leave(busy?.worker ?? '');
    const again = table.assign(2).find((lease) => lease.job.name === 'update');
    expect(again?.worker).toBe(first?.worker);
    expect(table.doubt(again?.id ?? 0)).toBe(true);
  });

  it('puts a worker aside that fails leases of several jobs, for longer each time, until it succeeds', () => {
    const table = new LeaseTable<TestJob>();
    table.join('broken', traits({ identity: 'x' }));
    table.join('good', traits());
    const asides: (number | undefined)[] = [];
    let now = 0;
    const failOne = (): void => {
      const leases = table.assign(now);
      expect(leases.map(({ worker }) => worker)).toEqual(['broken', 'good']);
      for (const lease of leases) {
        if (lease.worker === 'good') table.complete(lease.id, now);
        else asides.push(table.fail(lease.id, now).aside?.ms);
      }
      for (const { id } of table.assign(now)) table.complete(id, now);
    };
    for (let update = 0; update < 3; update++) {
      table.submit(job(`update ${update}`, 2, { blocks: 'single' }));
      failOne();
    }
    expect(asides).toEqual([undefined, undefined, 5_000]);
    expect(['broken', 'good', 'nobody'].map((worker) => table.standing(worker, now + 2_000))).toEqual([{ draining: false, asideMs: 3_000 }, { draining: false, asideMs: 0 }, undefined]);
    table.submit(job('without it', 2, { blocks: 'single' }));
    // It does not help to join again.
    table.leave('broken');
    table.join('broken', traits({ identity: 'x' }));
    expect(table.assign(now + 4_999)).toMatchObject([{ worker: 'good' }]);
    now += 5_000;
    expect(table.assign(now)).toMatchObject([{ worker: 'broken' }]);
  });

  it('blames whoever said first what a second worker refutes, even when it is gone', () => {
    const table = new LeaseTable<TestJob>();
    table.join('nan', traits());
    const asides: unknown[] = [];
    for (let update = 0; update < 3; update++) {
      table.submit(job(`update ${update}`, 1));
      const [first] = table.assign(0);
      expect([first?.worker, table.doubt(first?.id ?? 0)]).toEqual(['nan', false]);
      table.join('good', traits());
      const [second] = table.assign(0);
      asides.push(table.complete(second?.id ?? 0, 1)?.aside);
      table.leave('good');
    }
    expect(asides).toEqual([undefined, undefined, { worker: 'nan', ms: 5_000 }]);
  });
});
