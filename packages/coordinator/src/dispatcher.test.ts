import { Dd2Error } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { Dispatcher, type Forgettable, type Job, type LeaseReport } from './dispatcher.js';
import type { Lease } from './lease-table.js';

function job(more: Partial<Job> = {}): Job {
  return { runId: 'run', programId: 'program', signature: { name: 'program', metrics: [], results: [] }, execution: 'cpu', seed: 0, update: 0, firstSample: 0, microBatches: 2, blocks: 'single', priority: 0, parameters: {}, assets: {}, ...more };
}

/** how often a gradient was said to be in truth not finite */
let nonFinite = 0;
const gradient: NonNullable<Job['gradient']> = {
  size: 1,
  reduction: { contribute: async () => true, contributeFile: async () => true, contributeNonFinite: () => (nonFinite += 1), complete: Promise.resolve(0) },
};

function report({ span }: Lease<Job>, computeMs = 1, finite = true): LeaseReport {
  const microBatches = Array.from({ length: span.to - span.from }, (_, i) => ({ index: span.from + i, metrics: { loss: span.from + i }, results: {} }));
  return { microBatches, computeMs, transferMs: 0, finite };
}

/** Joins a worker that only collects what it is told. */
function worker(dispatcher: Dispatcher, name: string, capacity = 1, pool = ''): { readonly leases: Lease<Job>[]; readonly revoked: Lease<Job>[]; readonly forgotten: Forgettable[]; readonly asides: string[] } {
  const told = { leases: [] as Lease<Job>[], revoked: [] as Lease<Job>[], forgotten: [] as Forgettable[], asides: [] as string[] };
  dispatcher.join(
    name,
    { capacity, execution: 'cpu', pool },
    {
      lease: (lease) => told.leases.push(lease),
      revoke: (lease) => told.revoked.push(lease),
      forget: (what) => told.forgotten.push(what),
      putAside: (ms, { code }) => told.asides.push(`${code} ${ms}`),
    },
  );
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

  it('gives the leases that a draining worker does not finish to another one at once', async () => {
    const dispatcher = new Dispatcher();
    const a = worker(dispatcher, 'a', 2);
    const b = worker(dispatcher, 'b', 1);
    const outcome = dispatcher.run(job({ microBatches: 3 }));
    const [finishes, givenBack] = [take(a.leases, 0), take(a.leases, 1)];
    dispatcher.reported(take(b.leases, 0).id, report(take(b.leases, 0)));
    dispatcher.drain('a', finishes.id);
    const again = take(b.leases, 1);
    expect(again.span).toEqual(givenBack.span);
    dispatcher.reported(givenBack.id, report(givenBack, 1_000)); // it is not wanted any more
    dispatcher.reported(finishes.id, report(finishes));
    dispatcher.reported(again.id, report(again));
    expect((await outcome).totalComputeMs).toBe(3);
  });

  it.each<[string, (dispatcher: Dispatcher, lease: Lease<Job>) => void, number]>([
    ['a gradient', (dispatcher, lease) => {
      dispatcher.gradientReceived(lease.id, false);
      dispatcher.reported(lease.id, report(lease));
    }, 1],
    ['a metric or result', (dispatcher, lease) => {
      dispatcher.gradientReceived(lease.id);
      dispatcher.reported(lease.id, report(lease, 1, false));
    }, 0],
  ])('asks a second worker when %s is not finite: its answer counts, whatever it is', async (_, answer, toldNonFinite) => {
    nonFinite = 0;
    const dispatcher = new Dispatcher();
    const [a, b] = [worker(dispatcher, 'a'), worker(dispatcher, 'b')];
    const refuted = dispatcher.run(job({ microBatches: 1, gradient }));
    answer(dispatcher, take(a.leases, 0));
    const second = take(b.leases, 0);
    dispatcher.gradientReceived(second.id);
    dispatcher.reported(second.id, report(second));
    expect((await refuted).microBatches).toHaveLength(1);
    expect(nonFinite).toBe(0);

    const confirmed = dispatcher.run(job({ microBatches: 1, gradient }));
    const all = (): Lease<Job> => [...a.leases, ...b.leases].find(({ id }) => dispatcher.find(id)) ?? take([], 0);
    const first = all();
    answer(dispatcher, first);
    expect(all().worker).not.toBe(first.worker);
    answer(dispatcher, all());
    expect((await confirmed).microBatches).toHaveLength(1);
    expect(nonFinite).toBe(toldNonFinite);
  });

  it('says that a worker is put aside, and why', async () => {
    const dispatcher = new Dispatcher({ now: () => 0 });
    const broken = worker(dispatcher, 'broken');
    const good = worker(dispatcher, 'good');
    for (let update = 0; update < 4; update++) {
      const outcome = dispatcher.run(job({ microBatches: 1 }));
      const failing = broken.leases.find(({ id }) => dispatcher.find(id));
      expect(failing === undefined).toBe(update === 3);
      if (failing) dispatcher.failed(failing.id, new Dd2Error('PROTOCOL', 'wrong'));
      const lease = take(good.leases, update);
      dispatcher.reported(lease.id, report(lease));
      await outcome;
    }
    expect([broken.asides, good.asides]).toEqual([['PROTOCOL 5000'], []]);
  });

  it('says once what a run begins to wait for, and once when it goes on', async () => {
    const told: string[] = [];
    const dispatcher = new Dispatcher({ minWorkers: 2, onWaiting: (runId, what) => told.push(`${runId}: ${what ?? 'goes on'}`) });
    const abort = new AbortController();
    const update = dispatcher.run(job({ microBatches: 1 }));
    const query = dispatcher.run(job({ runId: 'other', microBatches: 1, pool: 'teacher' }), abort.signal);
    expect(dispatcher.waitingFor('run')).toBe('0 of 2 workers (cpu)');
    const a = worker(dispatcher, 'a');
    dispatcher.tick();
    const b = worker(dispatcher, 'b');
    const lease = [...a.leases, ...b.leases][0] ?? take([], 0);
    dispatcher.reported(lease.id, report(lease));
    await update;
    abort.abort(new Dd2Error('CANCELLED', 'enough'));
    await expect(query).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(told).toEqual([
      'run: 0 of 2 workers (cpu)',
      'other: a teacher pool: start `dd2 worker --role teacher`',
      'run: 1 of 2 workers (cpu)',
      'run: goes on',
    ]);
    expect([dispatcher.waitingFor('run'), dispatcher.waitingFor('other')]).toEqual([undefined, undefined]);
    const pooled = dispatcher.run(job({ runId: 'other', microBatches: 1, pool: 'teacher' }));
    const teacher = worker(dispatcher, 'teacher', 1, 'teacher');
    dispatcher.reported(take(teacher.leases, 0).id, report(take(teacher.leases, 0)));
    await pooled;
    expect(told.slice(4)).toEqual(['other: a teacher pool: start `dd2 worker --role teacher`', 'other: goes on']);
  });

  it('does a lease again, without blame, that was given back', async () => {
    const dispatcher = new Dispatcher();
    const a = worker(dispatcher, 'a');
    const outcome = dispatcher.run(job({ microBatches: 1 }));
    for (let times = 0; times < 20; times++) dispatcher.giveBack(take(a.leases, times).id);
    dispatcher.reported(take(a.leases, 20).id, report(take(a.leases, 20)));
    await outcome;
    expect(a.asides).toEqual([]);
  });

  it('tells every worker what it need not keep', () => {
    const dispatcher = new Dispatcher();
    const told = [worker(dispatcher, 'a'), worker(dispatcher, 'b')];
    dispatcher.forget({ runId: 'run', contents: ['x'] });
    expect(told.map(({ forgotten }) => forgotten)).toEqual([[{ runId: 'run', contents: ['x'] }], [{ runId: 'run', contents: ['x'] }]]);
  });
});
