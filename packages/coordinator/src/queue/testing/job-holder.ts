import pino from 'pino';
import { QueueStore } from '../queue-store.js';
import { dataSchema } from './recorder.js';

/**
 * A process that takes a job and never ends it, to be killed: arguments are data folder, epoch, and the address of Redis if any.
 * Prints a line when it has taken one.
 */
const [dataDir = '', epoch = '1', redisUrl] = process.argv.slice(2);
const store = await QueueStore.open({ dataDir, redisUrl, clusterId: 'test', epoch: BigInt(epoch), logger: pino({ level: 'silent' }) });
const queue = store.queue('runs', {
  schema: dataSchema,
  concurrency: 1,
  attempts: 3,
  backoffMs: 10,
  process: ({ id }) => {
    process.stdout.write(`took ${id}\n`);
    return new Promise(() => undefined);
  },
});
for (const id of ['a', 'b']) await queue.ensure({ id, data: { value: 1 }, priority: id === 'a' ? 1 : 0 });
