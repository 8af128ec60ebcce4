import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Consumer } from './consumer.js';
import { JobProcessor } from './job-processor.js';
import { encodeJob, storeOptions } from './job-record.js';
import { RedisBackend } from './redis-backend.js';
import type { StoreBackend, StoreWorker } from './store-backend.js';
import { Recorder, dataSchema, type Data } from './testing/recorder.js';
import { RedisServer, redisInstalled } from './testing/redis-server.js';

const logger = pino({ level: 'silent' });

/** A store that answers every call but whose first workers take nothing: what BullMQ issues #4479 and #4585 did. */
class Wedged implements StoreBackend {
  readonly kind = 'redis';
  workers = 0;

  constructor(
    private readonly inner: RedisBackend,
    private readonly dead: number,
  ) {}

  worker(...args: Parameters<RedisBackend['worker']>): StoreWorker {
    const nothing = { close: async () => undefined, abandon: async () => undefined };
    return this.workers++ < this.dead ? nothing : this.inner.worker(...args);
  }

  queue: StoreBackend['queue'] = (name) => this.inner.queue(name);
  connect = (): Promise<void> => this.inner.connect();
  repair = (): Promise<void> => this.inner.repair();
  close = (): Promise<void> => this.inner.close();
}

async function consumerOf(dead: number, concurrency = 1): Promise<{ readonly server: RedisServer; readonly consumer: Consumer<Data>; readonly recorder: Recorder; readonly backend: Wedged }> {
  const server = await RedisServer.start();
  onTestFinished(() => server.kill());
  const events = { changed: () => undefined, trouble: () => undefined };
  const backend = new Wedged(new RedisBackend({ address: { url: server.url }, clusterId: 'test', logger, events }), dead);
  await backend.connect();
  const recorder = new Recorder();
  const consumer = new Consumer('runs-1', new JobProcessor(recorder.processing({ concurrency }), logger), backend);
  onTestFinished(async () => {
    await consumer.close(0);
    await backend.close();
  });
  return { server, consumer, recorder, backend };
}

const add = async (consumer: Consumer<Data>, id: string): Promise<void> => {
  await consumer.queue.add('job', encodeJob({ id, data: { value: 1 }, priority: 0 }, dataSchema), storeOptions(id, 0, 3));
};

describe.skipIf(!redisInstalled)('a consumer', () => {
  it('whose worker takes nothing although the store answers is noticed and given another', async () => {
    const { consumer, recorder } = await consumerOf(1);
    consumer.start();
    await consumer.look();
    await add(consumer, 'a');
    await consumer.look(); // it may have been added just now
    await expect(consumer.look()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(recorder.came).toEqual([]);
    await consumer.revive();
    await recorder.until(() => recorder.came.length === 1);
    await consumer.look();
  });

  it('is not revived before something is taken', async () => {
    const { consumer, backend } = await consumerOf(2);
    await expect(consumer.revive()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(backend.workers).toBe(2);
    await consumer.revive();
    expect(backend.workers).toBe(3);
  });

  it('keeps to its places and processes no job twice at once when its worker is replaced', async () => {
    const { consumer, recorder } = await consumerOf(0);
    recorder.hold();
    await consumer.revive();
    await add(consumer, 'a');
    await recorder.until(() => recorder.came.length === 1);
    await consumer.revive(); // no place is free, so there is nothing to prove
    await add(consumer, 'b');
    await consumer.look();
    await consumer.look();
    expect(recorder.came).toEqual(['a/1']);
    recorder.process(() => undefined).finish('a');
    await recorder.until(() => recorder.came.length === 2);
    expect(recorder.came).toEqual(['a/1', 'b/1']);
  });

  it('gives the place of a job that comes while it is being processed to others', async () => {
    const { server, consumer, recorder } = await consumerOf(0, 2);
    recorder.hold();
    consumer.start();
    await add(consumer, 'a');
    await recorder.until(() => recorder.came.length === 1);
    const client = server.client();
    onTestFinished(() => client.disconnect());
    await client.flushall(); // and what was there before comes back, as from an old copy
    await add(consumer, 'a');
    await expect.poll(() => consumer.queue.getJobCounts('delayed')).toEqual({ delayed: 1 });
    await add(consumer, 'b');
    await recorder.until(() => recorder.came.length === 2);
    expect(recorder.came).toEqual(['a/1', 'b/1']);
    recorder.finish('a');
    recorder.finish('b');
  });
});
