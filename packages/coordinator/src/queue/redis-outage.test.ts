import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../testing/temporary-folder.js';
import type { JobQueue } from './job-queue.js';
import { QueueStore } from './queue-store.js';
import { Recorder, recordingLogger, type Data } from './testing/recorder.js';
import { RedisServer, redisInstalled, type RedisServerOptions } from './testing/redis-server.js';

const silent = pino({ level: 'silent' });
const job = (id: string) => ({ id, data: { value: 1 }, priority: 0 });

async function startServer(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await RedisServer.start(options);
  onTestFinished(() => server.kill());
  return server;
}

async function openStore(redisUrl: string, logger = silent): Promise<QueueStore> {
  const store = await QueueStore.open({ dataDir: 'unused', redisUrl, clusterId: 'test', epoch: 1n, logger });
  onTestFinished(() => store.close(0));
  return store;
}

/** A store with a job that is being processed and one that waits. */
async function busy(server: RedisServer): Promise<{ readonly store: QueueStore; readonly queue: JobQueue<Data>; readonly recorder: Recorder }> {
  const store = await openStore(server.url);
  const recorder = new Recorder().hold();
  const queue = store.queue<Data>('runs', recorder.processing());
  await queue.ensure(job('running'));
  await recorder.until(() => recorder.came.length === 1);
  await queue.ensure(job('waiting'));
  return { store, queue, recorder };
}

const state = async (store: QueueStore, wanted: 'up' | 'down'): Promise<void> => {
  await expect.poll(() => store.state, { timeout: 50_000 }).toBe(wanted);
};

describe.skipIf(!redisInstalled)('an outage of Redis', () => {
  it('that is a refusal to write asks for no new coordinator, and is over with its cause', async () => {
    const server = await startServer({ maxmemoryPolicy: 'noeviction' });
    const client = server.client();
    onTestFinished(() => client.disconnect());
    const store = await openStore(server.url);
    const recorder = new Recorder();
    const queue = store.queue<Data>('runs', recorder.processing());
    await state(store, 'up');
    await client.config('SET', 'maxmemory', '1');
    await expect(queue.ensure(job('refused'))).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('OOM') as string });
    await state(store, 'down');
    await delay(3_000);
    expect(store.state).toBe('down');
    expect(store.stuckMs).toBe(0);
    await client.config('SET', 'maxmemory', '0');
    await state(store, 'up');
    await queue.ensure(job('taken'));
    await recorder.until(() => recorder.came.length === 1);
  });

  it('that loses everything disturbs no job that is being processed, and jobs are taken afterwards', async () => {
    const server = await startServer();
    const { store, queue, recorder } = await busy(server);
    await server.kill();
    await expect(queue.ensure(job('new'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(queue.waiting()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(queue.remove('waiting')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(queue.reconcile([job('running')])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(store.state).toBe('down');
    await server.restart();
    await state(store, 'up');
    const desired = ['running', 'waiting', 'new'].map(job);
    await queue.reconcile(desired);
    expect((await queue.waiting()).map(({ id }) => id)).toEqual(['waiting', 'new']);
    expect(recorder.came).toEqual(['running/1']);
    recorder.process(() => undefined).finish('running');
    await recorder.until(() => recorder.came.length === 3);
    expect(recorder.came).toEqual(['running/1', 'waiting/1', 'new/1']);
  });

  it('that ends with the data as they were goes on by itself', async () => {
    const server = await startServer({ folder: await temporaryFolder() });
    const { store, queue, recorder } = await busy(server);
    await server.kill();
    await state(store, 'down');
    recorder.process(() => undefined).finish('running'); // ends while nobody can be told
    await server.restart();
    await recorder.until(() => recorder.came.length === 2);
    expect(recorder.came).toEqual(['running/1', 'waiting/1']);
    await state(store, 'up');
    await queue.ensure(job('new'));
    await recorder.until(() => recorder.came.length === 3);
  });

  it('in which it hangs is one as well', async () => {
    const server = await startServer();
    const { store, queue, recorder } = await busy(server);
    server.signal('SIGSTOP');
    await expect(queue.ensure(job('new'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(store.state).toBe('down');
    server.signal('SIGCONT');
    await state(store, 'up');
    await queue.ensure(job('new'));
    recorder.process(() => undefined).finish('running');
    await recorder.until(() => recorder.came.length === 3);
    expect(recorder.came).toEqual(['running/1', 'waiting/1', 'new/1']);
  });

  it('is noticed though nobody calls', async () => {
    const server = await startServer();
    const store = await openStore(server.url);
    const recorder = new Recorder();
    const queue = store.queue<Data>('evaluations', recorder.processing());
    await queue.ensure(job('before'));
    server.signal('SIGSTOP');
    await state(store, 'down');
    server.signal('SIGCONT');
    await state(store, 'up');
    await queue.ensure(job('after'));
    await recorder.until(() => recorder.came.length === 2);
  });

  it('at the start is none: jobs are taken once it is there', async () => {
    const server = await startServer();
    await server.kill();
    const { logger, lines } = recordingLogger();
    const store = await openStore(server.url, logger);
    expect(store.state).toBe('down');
    const recorder = new Recorder();
    const queue = store.queue<Data>('runs', recorder.processing());
    await expect(queue.ensure(job('a'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await server.restart();
    await state(store, 'up');
    await queue.reconcile([job('a')]);
    await recorder.until(() => recorder.came.length === 1);
    const told = lines.filter((line) => line.includes('"level":40') || line.includes('"level":30'));
    expect(told.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['the queue store is down: what runs goes on, what is new waits', 'the queue store is back']);
  });

  it('does not keep it from being closed', async () => {
    const server = await startServer();
    const { store } = await busy(server);
    await server.kill();
    await store.close(0);
    const hanging = await startServer();
    const other = await busy(hanging);
    hanging.signal('SIGSTOP');
    await other.store.close(0);
    hanging.signal('SIGCONT');
  });
});

describe.skipIf(!redisInstalled)('a Redis server', () => {
  it('keeps nothing of jobs that are done', async () => {
    const server = await startServer();
    const store = await openStore(server.url);
    const recorder = new Recorder().process((id) => {
      if (id.endsWith('3')) throw new Error('no');
    });
    const queue = store.queue<Data>('runs', recorder.processing({ attempts: 1, concurrency: 4 }));
    const client = server.client();
    onTestFinished(() => client.disconnect());
    const keysAfter = async (jobs: number): Promise<string[]> => {
      const from = recorder.came.length;
      for (let n = 0; n < jobs; n++) await queue.ensure(job(`${from}.${n}`));
      await recorder.until(() => recorder.came.length === from + jobs);
      await expect.poll(async () => (await client.keys('*')).filter((key) => key.includes('job.'))).toEqual([]);
      return (await client.keys('*')).sort();
    };
    const keys = await keysAfter(10);
    expect(await keysAfter(40)).toEqual(keys);
    expect(keys.every((key) => key.startsWith('dd2:test:'))).toBe(true);
  });

  it('that may throw jobs away is warned of', async () => {
    const server = await startServer({ maxmemoryPolicy: 'allkeys-lru' });
    const { logger, lines } = recordingLogger();
    await openStore(server.url, logger);
    expect(lines.find((line) => line.includes('noeviction'))).toContain('"policy":"allkeys-lru"');
  });

  it('that refuses the password is not there, and the password is in no log', async () => {
    const server = await startServer({ password: 'right-pass-word' });
    const { logger, lines } = recordingLogger();
    const store = await openStore(server.url.replace('right-pass-word', 'wrong-pass-word'), logger);
    expect(store.state).toBe('down');
    const queue = store.queue<Data>('runs', new Recorder().processing());
    const error: unknown = await queue.ensure(job('a')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
    expect(String(error)).toMatch(/WRONGPASS|NOAUTH/);
    expect((await openStore(server.url, logger)).state).toBe('up');
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('') + String(error)).not.toContain('pass-word');
  });

  it('has an address', async () => {
    for (const redisUrl of ['', 'localhost:6379', 'http://:secret-word@localhost']) {
      const error: unknown = await QueueStore.open({ dataDir: 'unused', redisUrl, clusterId: 'test', epoch: 1n, logger: silent }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'redisUrl' });
      expect(String(error)).not.toContain('secret-word');
    }
  });
});
