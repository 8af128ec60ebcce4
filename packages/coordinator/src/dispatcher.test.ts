import { Dd2Error } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { Dispatcher, type Job, type LeaseReport } from './dispatcher.js';
import type { Lease } from './lease-table.js';

function job(more: Partial<Job> = {}): Job {
  return { runId: 'run', programId: 'program', execution: 'cpu', seed: 0, update: 0, firstSample: 0, microBatches: 2, blocks: 'single', priority: 0, parameters: {}, assets: {}, ...more };
}

const gradient: NonNullable<Job['gradient']> = {
  size: 1,
  reduction: { contribute: () => undefined, contributeFile: () => Promise.resolve(), complete: Promise.resolve(0) },
};

function report({ span }: Lease<Job>, computeMs = 1): LeaseReport {
  const microBatches = Array.from({ length: span.to - span.from }, (_, i) => ({ index: span.from + i, metrics: { loss: span.from + i }, results: {} }));
  return { microBatches, computeMs, transferMs: 0 };
}

/** Joins a worker that only collects what it is told. */
function worker(dispatcher: Dispatcher, name: string, capacity = 1): { readonly leases: Lease<Job>[]; readonly revoked: Lease<Job>[] } {
  const told = { leases: [] as Lease<Job>[], revoked: [] as Lease<Job>[] };
  dispatcher.join(name, capacity, 'cpu', { lease: (lease) => told.leases.push(lease), revoke: (lease) => told.revoked.push(lease) });
  return told;
}

function take(leases: readonly Lease<Job>[], index: number): Lease<Job> {
  const lease = leases[index];
  if (!lease) throw new Error(`there is no lease ${index}`);
  return lease;
}

describe('Dispatcher', () => {
  it('gathers the reports of all micro-batches in order, and the time of the busiest worker', async () => {
    const dispatcher = new Dispatcher();
    const [a, b] = [worker(dispatcher, 'a'), worker(dispatcher, 'b')];
    const outcome = dispatcher.run(job({ microBatches: 3 }));
    dispatcher.reported(take(b.leases, 0).id, report(take(b.leases, 0), 5));
    dispatcher.reported(take(a.leases, 0).id, report(take(a.leases, 0), 2));
    const last = [...a.leases, ...b.leases].find(({ span }) => span.from === 2);
    dispatcher.reported(last?.id ?? 0, report(last ?? take(a.leases, 1), 4));
    const { microBatches, computeMs, totalComputeMs } = await outcome;
    expect(microBatches.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect([computeMs, totalComputeMs]).toEqual([9, 11]);
  });

  it.each([['the report', true], ['the gradient', false]])('waits for report and gradient when %s comes first', async (_, reportFirst) => {
    const dispatcher = new Dispatcher();
    const { leases } = worker(dispatcher, 'a');
    let settled = false;
    const outcome = dispatcher.run(job({ microBatches: 1, gradient })).finally(() => (settled = true));
    const lease = take(leases, 0);
    const steps = [() => dispatcher.reported(lease.id, report(lease)), () => dispatcher.gradientReceived(lease.id)];
    for (const step of reportFirst ? steps : steps.reverse()) {
      await Promise.resolve();
      expect(settled).toBe(false);
      step();
    }
    expect((await outcome).microBatches).toHaveLength(1);
  });

  it('gives the leases of a lost worker to another one, and ignores what still comes of the old ones', async () => {
    const dispatcher = new Dispatcher();
    const a = worker(dispatcher, 'a', 2);
    const outcome = dispatcher.run(job({ gradient }));
    dispatcher.gradientReceived(take(a.leases, 0).id);
    dispatcher.leave('a');
    const b = worker(dispatcher, 'b', 2);
    expect(b.leases.map(({ span }) => span.from).sort()).toEqual([0, 1]);
    for (const lease of a.leases) dispatcher.reported(lease.id, report(lease, 1_000));
    for (const lease of b.leases) {
      dispatcher.gradientReceived(lease.id);
      dispatcher.reported(lease.id, report(lease));
    }
    expect((await outcome).totalComputeMs).toBe(2);
  });

  it('tries a failed lease elsewhere and gives the job up with the error of the last attempt', async () => {
    const dispatcher = new Dispatcher();
    const all = [worker(dispatcher, 'a'), worker(dispatcher, 'b'), worker(dispatcher, 'c')];
    const outcome = dispatcher.run(job({ microBatches: 1 }));
    const tried = new Set<string>();
    for (let attempt = 0; attempt < 3; attempt++) {
      const lease = all.flatMap(({ leases }) => leases).find(({ id }) => dispatcher.find(id));
      tried.add(lease?.worker ?? '');
      dispatcher.failed(lease?.id ?? 0, new Dd2Error('ASSET_MISSING', `attempt ${attempt}`));
    }
    await expect(outcome).rejects.toMatchObject({ code: 'ASSET_MISSING', message: 'attempt 2' });
    expect(tried).toEqual(new Set(['a', 'b', 'c']));
  });

  it('revokes what is out when its job is aborted, and goes on with others', async () => {
    const dispatcher = new Dispatcher();
    const { leases, revoked } = worker(dispatcher, 'a');
    const abort = new AbortController();
    const aborted = dispatcher.run(job(), abort.signal);
    const next = dispatcher.run(job({ microBatches: 1 }));
    abort.abort(new Dd2Error('CANCELLED', 'enough'));
    await expect(aborted).rejects.toMatchObject({ code: 'CANCELLED', message: 'enough' });
    expect(revoked).toEqual([leases[0]]);
    dispatcher.reported(take(leases, 1).id, report(take(leases, 1)));
    expect((await next).microBatches).toHaveLength(1);
    await expect(dispatcher.run(job(), abort.signal)).rejects.toMatchObject({ message: 'enough' });
  });

  it('gives nothing new to a worker that drains', () => {
    const dispatcher = new Dispatcher();
    const a = worker(dispatcher, 'a', 2);
    dispatcher.drain('a');
    dispatcher.run(job()).catch(() => undefined);
    dispatcher.tick();
    expect(a.leases).toEqual([]);
    expect(worker(dispatcher, 'b', 2).leases).toHaveLength(2);
  });
});
