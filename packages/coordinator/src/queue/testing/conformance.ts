import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { JobQueue } from '../job-queue.js';
import { MAX_JOB_BYTES } from '../job-record.js';
import type { QueueStore } from '../queue-store.js';
import { Recorder, type Data } from './recorder.js';

const HOOK_TIMEOUT_MS = 60_000;
/** for what the store is told behind the caller's back */
const soon = { timeout: 30_000 };

/** What every queue store does. `place` makes an empty one for a test, which coordinators then open one after the other. */
export function queueConformance(name: string, place: () => Promise<(epoch: bigint) => Promise<QueueStore>>): void {
  describe(`queue store: ${name}`, () => {
    let epoch = 0n;
    let open: (epoch: bigint) => Promise<QueueStore>;
    let store: QueueStore;
    const reopen = async (): Promise<void> => {
      store = await open(++epoch);
    };
    beforeEach(async () => {
      open = await place();
      await reopen();
    }, HOOK_TIMEOUT_MS);
    afterEach(() => store.close(0), HOOK_TIMEOUT_MS);
    const queueOf = (recorder: Recorder, options = {}): JobQueue<Data> => store.queue<Data>('runs', recorder.processing(options));
    const job = (id: string, priority = 0, value = 1) => ({ id, data: { value }, priority });

    it('is up when it is opened and processes a job once', async () => {
      expect(store.state).toBe('up');
      const recorder = new Recorder();
      const queue = queueOf(recorder);
      await queue.ensure(job('a'));
      await recorder.until(() => recorder.came.length === 1);
      await queue.ensure(job('b'));
      await recorder.until(() => recorder.came.length === 2);
      expect(recorder.came).toEqual(['a/1', 'b/1']);
      expect(await queue.waiting()).toEqual([]);
    });

    it('takes larger priorities first and keeps the order within one', async () => {
      const recorder = new Recorder().hold();
      const queue = queueOf(recorder);
      await queue.ensure(job('first'));
      await recorder.until(() => recorder.came.length === 1);
      for (const [id, priority] of [['low', -1000], ['b', 0], ['c', 0], ['high', 7], ['a', 0]] as const) await queue.ensure(job(id, priority));
      expect((await queue.waiting()).map(({ id, priority }) => [id, priority])).toEqual([['high', 7], ['b', 0], ['c', 0], ['a', 0], ['low', -1000]]);
      await queue.ensure(job('c', 9)); // a new priority
      await queue.ensure(job('b', 0)); // nothing new: it keeps its place
      const order = ['c', 'high', 'b', 'a', 'low'];
      expect((await queue.waiting()).map(({ id }) => id)).toEqual(order);
      recorder.finish('first');
      for (const [index, id] of order.entries()) {
        await recorder.until(() => recorder.came.length === index + 2);
        recorder.finish(id);
      }
      expect(recorder.came.slice(1)).toEqual(order.map((id) => `${id}/1`));
    });

    it('holds a job once however often it is asked, and processes a finished one again when asked', async () => {
      const recorder = new Recorder().hold();
      const queue = queueOf(recorder, { concurrency: 2 });
      await Promise.all(Array.from({ length: 5 }, () => queue.ensure(job('a'))));
      await recorder.until(() => recorder.came.length === 1);
      await queue.ensure(job('a')); // it is being processed
      await queue.reconcile([job('a')]);
      expect(await queue.waiting()).toEqual([]);
      recorder.finish('a');
      await expect.poll(async () => {
        await queue.ensure(job('a'));
        return recorder.came;
      }, soon).toEqual(['a/1', 'a/1']);
      recorder.finish('a');
    });

    it('processes as many at once as it has places', async () => {
      const recorder = new Recorder().hold();
      const queue = queueOf(recorder, { concurrency: 2 });
      await queue.reconcile([job('a'), job('b'), job('c')]);
      await recorder.until(() => recorder.came.length === 2);
      await delay(100);
      expect(recorder.came).toEqual(['a/1', 'b/1']);
      expect((await queue.waiting()).map(({ id }) => id)).toEqual(['c']);
      recorder.finish('b');
      await recorder.until(() => recorder.came.length === 3);
      recorder.finish('a');
      recorder.finish('c');
    });

    it('removes what waits and leaves alone what is processed', async () => {
      const recorder = new Recorder().hold();
      const queue = queueOf(recorder);
      await queue.ensure(job('a'));
      await recorder.until(() => recorder.came.length === 1);
      await queue.ensure(job('b'));
      await queue.remove('b');
      await queue.remove('a');
      await queue.remove('never heard of');
      expect(await queue.waiting()).toEqual([]);
      recorder.finish('a');
      await queue.ensure(job('c'));
      await recorder.until(() => recorder.came.length === 2);
      expect(recorder.came).toEqual(['a/1', 'c/1']);
      recorder.finish('c');
    });

    it('reconciles: adds what is missing, removes what is not desired, changes priorities', async () => {
      const recorder = new Recorder().hold();
      const queue = queueOf(recorder);
      await queue.reconcile([job('a')]);
      await recorder.until(() => recorder.came.length === 1);
      await queue.reconcile([job('a'), job('b', 1), job('c', 2)]);
      expect((await queue.waiting()).map(({ id }) => id)).toEqual(['c', 'b']);
      await queue.reconcile([job('a'), job('b', 3), job('d', 2)]);
      expect((await queue.waiting()).map(({ id, priority }) => [id, priority])).toEqual([['b', 3], ['d', 2]]);
      await queue.reconcile([]);
      expect(await queue.waiting()).toEqual([]);
      expect(recorder.came).toEqual(['a/1']);
      recorder.finish('a');
    });

    it('tries again with growing delays what may succeed then, and gives up after the last attempt', async () => {
      const recorder = new Recorder().process((id) => {
        throw id === 'typed' ? new Dd2Error('UNAVAILABLE', 'no worker') : new Error('unforeseen');
      });
      const queue = queueOf(recorder, { attempts: 3, backoffMs: 20 });
      await queue.ensure(job('typed'));
      await recorder.until(() => recorder.givenUp.length === 1);
      await queue.ensure(job('other'));
      await recorder.until(() => recorder.givenUp.length === 2);
      expect(recorder.came).toEqual(['typed/1', 'typed/2', 'typed/3', 'other/1', 'other/2', 'other/3']);
      expect(recorder.retried).toEqual(['typed/1/20', 'typed/2/40', 'other/1/20', 'other/2/40']);
      expect(recorder.givenUp).toEqual(['typed: no worker', 'other: unforeseen']);
      expect(await queue.waiting()).toEqual([]);
    });

    it('does not try again what would fail again', async () => {
      const recorder = new Recorder().process(() => {
        throw new Dd2Error('INVALID_SPEC', 'no such phase');
      });
      const queue = queueOf(recorder);
      await queue.ensure(job('a'));
      await recorder.until(() => recorder.givenUp.length === 1);
      await expect.poll(() => queue.waiting(), soon).toEqual([]);
      expect(recorder).toMatchObject({ came: ['a/1'], retried: [] });
    });

    it('shows what waits for another attempt, which a reconciliation leaves as it is', async () => {
      const recorder = new Recorder().process(() => {
        throw new Error('not now');
      });
      const queue = queueOf(recorder, { attempts: 5, backoffMs: 600_000 });
      await queue.ensure(job('a', 4));
      await recorder.until(() => recorder.retried.length === 1);
      await expect.poll(() => queue.waiting(), soon).toEqual([{ id: 'a', priority: 4, attempt: 2, delayed: true }]);
      await queue.reconcile([job('a', 4)]);
      await queue.ensure(job('a', 4));
      expect(await queue.waiting()).toEqual([{ id: 'a', priority: 4, attempt: 2, delayed: true }]);
      await queue.reconcile([]);
      expect(await queue.waiting()).toEqual([]);
    });

    it('refuses what is too large for a queue, and what does not fit', async () => {
      const queue = queueOf(new Recorder());
      await expect(queue.ensure({ id: 'odd', data: { value: 'one' } as unknown as Data, priority: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'data' });
      const texts = store.queue('evaluations', { ...new Recorder().processing(), schema: z.string(), process: async () => undefined });
      await expect(texts.ensure({ id: 'large', data: 'x'.repeat(MAX_JOB_BYTES), priority: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'data' });
      await texts.ensure({ id: 'largest', data: 'x'.repeat(MAX_JOB_BYTES - 2), priority: 0 });
    });

    it('carries any text in ids and data', async () => {
      const came: { id: string; data: string }[] = [];
      const queue = store.queue('evaluations', { schema: z.string(), concurrency: 1, attempts: 1, backoffMs: 1, process: async ({ id, data }) => void came.push({ id, data }) });
      const texts = ['7', 'run:1/evaluation 2', "Robert'); DROP TABLE job;--", '\u0000 \ud83d\ude80 %3A é'];
      for (const text of texts) await queue.ensure({ id: text, data: text, priority: 0 });
      await expect.poll(() => came, soon).toEqual(texts.map((text) => ({ id: text, data: text })));
    });

    it('gives the next coordinator what waited, with the attempts that failed, in order', async () => {
      const recorder = new Recorder().process(() => {
        throw new Error('not now');
      });
      const queue = queueOf(recorder, { attempts: 3, backoffMs: 600_000 });
      await queue.ensure(job('failed', 5));
      await recorder.until(() => recorder.retried.length === 1);
      await expect.poll(async () => (await queue.waiting()).length, soon).toBe(1);
      recorder.hold();
      await queue.ensure(job('stuck', 0));
      await recorder.until(() => recorder.came.length === 2);
      await queue.ensure(job('b', 1));
      await queue.ensure(job('c', 2));
      await store.close(0); // without waiting for the job that is being processed
      await reopen();

      const next = new Recorder().hold();
      const nextQueue = store.queue<Data>('runs', next.processing({ attempts: 3 }));
      await next.until(() => next.came.length === 1);
      expect((await nextQueue.waiting()).map(({ id, attempt }) => [id, attempt])).toEqual([['c', 1], ['b', 1], ['stuck', 1]]);
      next.process((id) => {
        if (id === 'failed') throw new Error('for good');
      });
      next.finish('failed', new Error('again'));
      await next.until(() => next.givenUp.length === 1 && next.came.length === 5);
      expect(next.came.filter((entry) => entry.startsWith('failed'))).toEqual(['failed/2', 'failed/3']);
      expect(next.came.filter((entry) => !entry.startsWith('failed'))).toEqual(['c/1', 'b/1', 'stuck/1']);
      expect(next).toMatchObject({ retried: ['failed/2/20'], givenUp: ['failed: for good'] });
    });

    it('puts a job back when its coordinator closes', async () => {
      const recorder = new Recorder().hold();
      const queue = queueOf(recorder, { attempts: 2 });
      await queue.ensure(job('a', 3));
      await recorder.until(() => recorder.came.length === 1);
      const closed = store.close(10_000);
      recorder.finish('a', new Error('the coordinator closes'));
      await closed;
      expect(recorder).toMatchObject({ retried: [], givenUp: [] });
      await reopen();
      const next = new Recorder();
      store.queue<Data>('runs', next.processing({ attempts: 2 }));
      await next.until(() => next.came.length === 1);
      expect(next.came).toEqual(['a/1']);
    });

    it('waits for what is being processed when it is closed', async () => {
      const recorder = new Recorder().hold();
      const queue = queueOf(recorder);
      await queue.ensure(job('a'));
      await recorder.until(() => recorder.came.length === 1);
      let closed = false;
      const closing = store.close(60_000).then(() => (closed = true));
      await delay(100);
      expect(closed).toBe(false);
      recorder.finish('a');
      await closing;
      await reopen();
      const next = new Recorder();
      expect(await store.queue<Data>('runs', next.processing()).waiting()).toEqual([]);
      expect(next.came).toEqual([]);
    });

    it('keeps runs and evaluations apart', async () => {
      const runs = new Recorder();
      const evaluations = new Recorder();
      const runQueue = queueOf(runs);
      const evaluationQueue = store.queue<Data>('evaluations', evaluations.processing());
      await runQueue.ensure(job('a'));
      await evaluationQueue.ensure(job('a'));
      await evaluationQueue.ensure(job('b'));
      await runs.until(() => runs.came.length === 1);
      await evaluations.until(() => evaluations.came.length === 2);
      expect(runs.came).toEqual(['a/1']);
    });

    it('refuses calls once it is closed', async () => {
      const queue = queueOf(new Recorder());
      await store.close(0);
      await expect(queue.ensure(job('a'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });
  });
}
