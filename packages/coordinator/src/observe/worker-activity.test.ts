import { Dd2Error } from '@dd2/core';
import { create, HelloSchema } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { Dispatcher, type Job } from '../dispatcher.js';
import type { Lease } from '../lease-table.js';
import { WorkerActivity, type ActiveWorker } from './worker-activity.js';

const SIGNATURE: Job['signature'] = { name: 'program', metrics: [], results: [] };
const job = (more: Partial<Job> = {}): Job => ({
  runId: 'run.1a', programId: 'p', signature: SIGNATURE, execution: 'cpu', seed: 0, update: 7, firstSample: 0, microBatches: 1, blocks: 'single', priority: 0, parameters: {}, assets: {}, ...more,
});

/** A dispatcher that an activity observes, on a clock of its own, and workers that do as they are told. */
function cluster() {
  const clock = { now: 10_000 };
  const activity = new WorkerActivity(() => clock.now);
  const dispatcher = new Dispatcher({ observer: activity, now: () => clock.now });
  const leases: Lease<Job>[] = [];
  /** The lease that a worker holds. */
  const held = (session: string): Lease<Job> => {
    const lease = leases.find(({ id, worker }) => worker === session && dispatcher.find(id));
    if (!lease) throw new Error(`${session} has no lease`);
    return lease;
  };
  return {
    clock,
    activity,
    dispatcher,
    leases,
    join: (session: string, { name = session, capacity = 1 }: { readonly name?: string; readonly capacity?: number } = {}): void => {
      activity.joined(session, create(HelloSchema, { name, workerId: session, provider: 'cpu' }));
      dispatcher.join(session, { capacity, execution: 'cpu', pool: '' }, { lease: (lease) => leases.push(lease), revoke: () => undefined, forget: () => undefined, putAside: () => undefined });
    },
    leave: (session: string): void => {
      dispatcher.leave(session);
      activity.left(session);
    },
    held,
    answer: (session: string, computeMs: number, finite = true): void => {
      const { id, span } = held(session);
      dispatcher.reported(id, { microBatches: Array.from({ length: span.to - span.from }, (_, i) => ({ index: span.from + i, metrics: {}, results: {} })), computeMs, transferMs: 0, finite });
    },
    of: (session: string): ActiveWorker => {
      const worker = activity.workers.find((one) => one.session === session);
      if (!worker) throw new Error(`there is no ${session}`);
      return worker;
    },
  };
}

describe('WorkerActivity', () => {
  it('knows who is there, since when, and when it was heard', () => {
    const { activity, clock, join, leave, of } = cluster();
    join('b');
    join('a');
    const { joinedAt, lastHeardAt } = of('a');
    expect(Math.abs(lastHeardAt.getTime() - joinedAt.getTime())).toBeLessThan(1_000);
    clock.now += 60_000;
    activity.heard('a');
    activity.heard('nobody');
    expect(of('a').lastHeardAt.getTime() - of('b').lastHeardAt.getTime()).toBe(60_000);
    expect(activity.workers.map(({ session }) => session)).toEqual(['a', 'b']);
    leave('a');
    expect(activity.workers.map(({ session }) => session)).toEqual(['b']);
  });

  it('counts leases that are done, and shows those that are held and for how long', async () => {
    const all = cluster();
    all.join('a', { capacity: 2 });
    const outcome = all.dispatcher.run(job({ microBatches: 3 }));
    all.clock.now += 1_500;
    expect(all.of('a').leases.map(({ lease: { span }, heldSeconds }) => [span.from, heldSeconds])).toEqual([[0, 1.5], [1, 1.5]]);
    all.answer('a', 1_000);
    all.clock.now += 500;
    all.answer('a', 500);
    all.answer('a', 0);
    await outcome;
    expect(all.of('a').leases).toEqual([]);
    expect(all.of('a').counts).toEqual({ done: 3, failed: 0, straggled: 0, microBatches: 3, computeSeconds: 1.5 });
    expect(all.activity.all).toEqual(all.of('a').counts);
    expect(all.of('a').microBatchesPerSecond).toBe(1.5);
    expect(all.of('a').busy).toBe(0.75);
  });

  it('believes no worker that has computed for longer than it had the lease', async () => {
    const all = cluster();
    all.join('a');
    all.clock.now += 9_000;
    const outcome = all.dispatcher.run(job());
    all.clock.now += 1_000;
    all.answer('a', 1e12);
    await outcome;
    expect(all.of('a').counts.computeSeconds).toBe(1);
    expect(all.of('a').busy).toBe(0.1);
  });

  it('takes a lease that is not done yet for work, since it could be begun', async () => {
    const all = cluster();
    all.join('a', { capacity: 2 });
    all.clock.now += 10_000;
    const outcome = all.dispatcher.run(job({ microBatches: 2 }));
    all.clock.now += 10_000;
    expect(all.of('a').busy).toBe(0.5);
    all.answer('a', 4_000);
    expect(all.of('a').busy).toBe(0.2); // now it is known; the second lease has just been begun
    all.clock.now += 10_000;
    expect(all.of('a').busy).toBeCloseTo(14 / 30, 9);
    all.clock.now += 300_000;
    expect(all.of('a').busy).toBe(1);
    all.answer('a', 0);
    await outcome;
    all.clock.now += 61_000;
    expect([all.of('a').busy, all.of('a').microBatchesPerSecond]).toEqual([0, 0]);
  });

  it('counts what failed, and neither what was given back nor what is superfluous', async () => {
    const all = cluster();
    all.join('a', { capacity: 4 });
    const outcome = all.dispatcher.run(job());
    all.dispatcher.failed(all.held('a').id, new Dd2Error('INTERNAL', 'no'));
    expect(all.of('a').counts.failed).toBe(1);
    all.dispatcher.giveBack(all.held('a').id);
    all.answer('a', 0, false); // doubted: it is asked again
    expect(all.of('a').counts).toMatchObject({ done: 0, failed: 1 });
    all.answer('a', 0, false);
    await outcome;
    expect(all.of('a').counts).toMatchObject({ done: 1, failed: 1 });
    const abort = new AbortController();
    const cancelled = all.dispatcher.run(job(), abort.signal);
    abort.abort(new Dd2Error('CANCELLED', 'enough'));
    await expect(cancelled).rejects.toThrow('enough');
    expect(all.of('a')).toMatchObject({ leases: [], counts: { done: 1, failed: 1 } });
  });

  it('says whose lease another worker got a backup of, and that it is one', async () => {
    const all = cluster();
    all.join('slow');
    const outcome = all.dispatcher.run(job());
    all.join('fast');
    all.clock.now += 61_000;
    all.dispatcher.tick();
    expect(all.of('slow').counts.straggled).toBe(1);
    expect(all.of('slow').leases.map(({ lease }) => lease.backupOf)).toEqual([undefined]);
    expect(all.of('fast').leases.map(({ lease }) => lease.backupOf)).toEqual(['slow']);
    all.answer('fast', 10);
    await outcome;
    expect(all.of('slow')).toMatchObject({ leases: [], counts: { done: 0, failed: 0, straggled: 1 } });
    expect(all.of('fast').counts).toMatchObject({ done: 1, straggled: 0 });
    expect(all.activity.all).toMatchObject({ done: 1, straggled: 1 });
  });

  it('holds nothing of workers that have gone, and of leases that they held', async () => {
    const all = cluster();
    for (let n = 0; n < 50; n++) {
      all.join(`session ${n}`, { name: 'pod' });
      const abort = new AbortController();
      const outcome = all.dispatcher.run(job(), abort.signal);
      all.leave(`session ${n}`);
      abort.abort(new Dd2Error('CANCELLED', 'enough'));
      await expect(outcome).rejects.toThrow('enough');
    }
    expect([all.activity.workers, all.activity.byName]).toEqual([[], []]);
  });

  it('goes on counting for a name while a worker of that name is connected', async () => {
    const all = cluster();
    const work = async (session: string): Promise<void> => {
      const outcome = all.dispatcher.run(job());
      all.answer(session, 1);
      await outcome;
    };
    all.join('first', { name: 'pod' });
    await work('first');
    all.join('second', { name: 'pod' });
    all.leave('first');
    await work('second');
    expect(all.activity.byName.map(([name, { done }]) => [name, done])).toEqual([['pod', 2]]);
    expect(all.of('second').counts.done).toBe(1);
    all.leave('second');
    all.activity.left('second');
    all.join('third', { name: 'pod' });
    expect(all.activity.byName.map(([name, { done }]) => [name, done])).toEqual([['pod', 0]]);
    expect(all.activity.all.done).toBe(2);
  });
});
