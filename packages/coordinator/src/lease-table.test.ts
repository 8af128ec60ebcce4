import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseTable, MAX_ATTEMPTS, type JobRequest, type Lease } from './lease-table.js';

interface TestJob extends JobRequest {
  readonly name: string;
}

function job(name: string, microBatches: number, more: Partial<TestJob> = {}): TestJob {
  return { name, microBatches, blocks: 'summed', priority: 0, execution: 'cpu', programId: 'program', ...more };
}

/** A cluster without time: keeps what the table must keep to, and checks it after every step. */
class Cluster {
  readonly table = new LeaseTable<TestJob>();
  readonly workers = new Map<string, { capacity: number; draining: boolean; leases: Map<number, Lease<TestJob>> }>();
  /** times that each micro-batch of a job was completed */
  readonly done = new Map<TestJob, number[]>();
  readonly finished = new Set<TestJob>();
  readonly abandoned = new Set<TestJob>();
  readonly failures = new Map<TestJob, number>();
  now = 0;

  submit(submitted: TestJob): void {
    this.done.set(submitted, new Array<number>(submitted.microBatches).fill(0));
    this.table.submit(submitted);
    this.assign();
  }

  join(name: string, capacity: number): void {
    this.workers.set(name, { capacity, draining: false, leases: new Map() });
    this.table.join(name, capacity, 'cpu');
    this.assign();
  }

  leave(name: string): void {
    const held = [...(this.workers.get(name)?.leases.keys() ?? [])].sort();
    this.workers.delete(name);
    expect(this.table.leave(name).map(({ id }) => id).sort()).toEqual(held);
    this.assign();
  }

  drain(name: string): void {
    const worker = this.workers.get(name);
    if (worker) worker.draining = true;
    this.table.drain(name);
  }

  assign(): void {
    for (const lease of this.table.assign(this.now)) {
      const worker = this.workers.get(lease.worker);
      expect(worker, 'a lease goes to a worker that is there').toBeDefined();
      expect(worker?.draining, 'and does not drain').toBe(false);
      worker?.leases.set(lease.id, lease);
      expect(worker?.leases.size).toBeLessThanOrEqual(worker?.capacity ?? 0);
      const twins = this.out.filter(({ job: other, span }) => other === lease.job && span.from === lease.span.from);
      expect(twins.length, 'one backup at most').toBeLessThanOrEqual(2);
      expect(new Set(twins.map(({ worker: name }) => name)).size, 'on another worker').toBe(twins.length);
    }
  }

  get out(): Lease<TestJob>[] {
    return [...this.workers.values()].flatMap(({ leases }) => [...leases.values()]);
  }

  complete(lease: Lease<TestJob>): void {
    this.#take(lease);
    const result = this.table.complete(lease.id, this.now);
    if (!result) return;
    for (const other of result.superfluous) this.#take(other);
    const counts = this.done.get(lease.job) ?? [];
    for (let index = lease.span.from; index < lease.span.to; index++) counts[index] = (counts[index] ?? 0) + 1;
    expect(result.jobDone).toBe(counts.every((count) => count === 1));
    if (result.jobDone) this.finished.add(lease.job);
    expect(this.table.complete(lease.id, this.now), 'a second result finds nothing').toBeUndefined();
    expect(this.table.find(lease.id)).toBeUndefined();
    this.assign();
  }

  fail(lease: Lease<TestJob>): void {
    this.#take(lease);
    this.failures.set(lease.job, (this.failures.get(lease.job) ?? 0) + 1);
    if (this.table.fail(lease.id)) {
      this.abandoned.add(lease.job);
      for (const other of this.table.cancel(lease.job)) this.#take(other);
    }
    expect(this.table.fail(lease.id), 'a second failure finds nothing').toBe(false);
    this.assign();
  }

  #take({ worker, id }: Lease<TestJob>): void {
    this.workers.get(worker)?.leases.delete(id);
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('complete' as const), pick: fc.nat(50) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), pick: fc.nat(50) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('join' as const), capacity: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), pick: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const), pick: fc.nat(50) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 100_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('submit' as const), microBatches: fc.integer({ min: 1, max: 17 }), single: fc.boolean(), priority: fc.integer({ min: 0, max: 2 }) }) },
);

describe('LeaseTable', () => {
  it('completes every micro-batch exactly once or gives the job up, under any schedule, while one worker remains', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const cluster = new Cluster();
        let names = 0;
        const pick = <T>(from: readonly T[], index: number): T | undefined => from[index % Math.max(1, from.length)];
        for (const action of steps) {
          switch (action.kind) {
            case 'complete':
            case 'fail': {
              const lease = pick(cluster.out, action.pick);
              if (lease) cluster[action.kind](lease);
              break;
            }
            case 'join':
              cluster.join(`worker-${names++}`, action.capacity);
              break;
            case 'leave':
            case 'drain': {
              const name = pick([...cluster.workers.keys()], action.pick);
              if (name !== undefined) cluster[action.kind](name);
              break;
            }
            case 'wait':
              cluster.now += action.ms;
              cluster.assign();
              break;
            case 'submit':
              cluster.submit(job(`job-${names++}`, action.microBatches, { blocks: action.single ? 'single' : 'summed', priority: action.priority }));
              break;
          }
        }
        // From here on everything works: every job that was not given up is completed.
        cluster.join('the last', 1);
        for (let lease = cluster.out[0]; lease; lease = cluster.out[0]) cluster.complete(lease);
        for (const [submitted, counts] of cluster.done) {
          if (cluster.abandoned.has(submitted)) expect(cluster.failures.get(submitted)).toBeGreaterThanOrEqual(MAX_ATTEMPTS);
          else expect(counts).toEqual(counts.map(() => 1));
          expect(cluster.finished.has(submitted)).toBe(!cluster.abandoned.has(submitted));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('cuts a job by the number of workers, or not at all', () => {
    const table = new LeaseTable<TestJob>();
    for (const name of ['a', 'b', 'c']) table.join(name, 8, 'cpu');
    table.submit(job('summed', 8));
    expect(table.assign(0).map(({ span }) => span.to - span.from)).toEqual([2, 2, 2, 2]);
    table.submit(job('single', 3, { blocks: 'single' }));
    expect(table.assign(0).map(({ span }) => span.to - span.from)).toEqual([1, 1, 1]);
  });

  it('leases what is more urgent first', () => {
    const table = new LeaseTable<TestJob>();
    table.submit(job('evaluation', 2, { blocks: 'single', priority: 1 }));
    table.submit(job('update', 1));
    table.join('a', 2, 'cpu');
    expect(table.assign(0).map((lease) => lease.job.name)).toEqual(['update', 'evaluation']);
  });

  it('gives a straggler one backup, on another worker, and the first result wins', () => {
    const table = new LeaseTable<TestJob>();
    table.join('fast', 8, 'cpu');
    table.submit(job('warm-up', 8, { blocks: 'single' }));
    for (const { id } of table.assign(0)) table.complete(id, 100);
    table.join('slow', 1, 'cpu');
    table.drain('fast');
    table.submit(job('update', 1));
    const [first] = table.assign(1_000);
    expect(first?.worker).toBe('slow');
    table.join('idle', 1, 'cpu');
    expect(table.assign(1_000 + 1_999)).toEqual([]);
    const [backup] = table.assign(1_000 + 2_000);
    expect(backup).toMatchObject({ worker: 'idle', span: first?.span });
    expect(table.assign(90_000)).toEqual([]);
    expect(table.complete(backup?.id ?? 0, 90_000)).toEqual({ jobDone: true, superfluous: [first] });
    expect(table.find(first?.id ?? 0)).toBeUndefined();
  });

  it('does not take a long program for a straggler of a short one', () => {
    const table = new LeaseTable<TestJob>();
    table.join('a', 8, 'cpu');
    table.join('b', 8, 'cpu');
    table.submit(job('updates', 8, { blocks: 'single' }));
    for (const { id } of table.assign(0)) table.complete(id, 10);
    table.submit(job('evaluation', 1, { programId: 'evaluation' }));
    table.assign(10);
    expect(table.assign(10 + 30_000)).toEqual([]);
    expect(table.assign(10 + 60_000)).toHaveLength(1);
  });

  it('lets a block wait for a busy worker rather than use up its attempts on a broken one', () => {
    const table = new LeaseTable<TestJob>();
    table.join('good', 1, 'cpu');
    table.join('broken', 1, 'cpu');
    const submitted = job('update', 2, { blocks: 'single' });
    table.submit(submitted);
    const leases = table.assign(0);
    const of = (name: string): number => leases.find(({ worker }) => worker === name)?.id ?? 0;
    expect(table.fail(of('broken'))).toBe(false);
    expect(table.assign(1)).toEqual([]);
    expect(table.complete(of('good'), 2)?.jobDone).toBe(false);
    const [again] = table.assign(2);
    expect(again?.worker).toBe('good');
    expect(table.complete(again?.id ?? 0, 3)?.jobDone).toBe(true);
  });

  it(`gives a job up after ${MAX_ATTEMPTS} failures of one block, also with a single worker`, () => {
    const table = new LeaseTable<TestJob>();
    table.join('only', 1, 'cpu');
    table.submit(job('update', 1));
    const outcomes = Array.from({ length: MAX_ATTEMPTS }, () => table.fail(table.assign(0)[0]?.id ?? 0));
    expect(outcomes).toEqual([false, false, true]);
  });

  it('forgets a cancelled job', () => {
    const table = new LeaseTable<TestJob>();
    table.join('a', 1, 'cpu');
    const cancelled = job('update', 4, { blocks: 'single' });
    table.submit(cancelled);
    const [lease] = table.assign(0);
    expect(table.cancel(cancelled)).toEqual([lease]);
    expect(table.complete(lease?.id ?? 0, 1)).toBeUndefined();
    expect(table.fail(lease?.id ?? 0)).toBe(false);
    expect(table.assign(2)).toEqual([]);
  });

  it('leases a job only to workers of the kind that it is pinned to', () => {
    const table = new LeaseTable<TestJob>();
    table.join('other', 8, 'cuda');
    const pinned = job('pinned', 4);
    table.submit(pinned);
    expect(table.assign(0)).toEqual([]);
    table.join('suited', 8, 'cpu');
    expect(table.assign(0).map(({ worker }) => worker)).toEqual(expect.arrayContaining(['suited']));
    expect(table.assign(0)).toEqual([]);
  });

  it('hands out backups also while a block waits that nobody here may compute', () => {
    const table = new LeaseTable<TestJob>();
    table.join('slow', 1, 'cpu');
    table.submit(job('update', 1));
    expect(table.assign(0)).toHaveLength(1);
    table.submit(job('elsewhere', 1, { execution: 'cuda' }));
    table.join('idle', 1, 'cpu');
    expect(table.assign(1_000)).toEqual([]);
    expect(table.assign(1e9).map(({ worker }) => worker)).toEqual(['idle']);
  });
});
