import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { afterAll, beforeAll, describe } from 'vitest';
import { QueueStore } from './queue-store.js';
import { queueConformance } from './testing/conformance.js';
import { RedisServer, redisInstalled } from './testing/redis-server.js';

const logger = pino({ level: 'silent' });

describe.skipIf(!redisInstalled)('with a redis-server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.kill());

  queueConformance('redis', async () => {
    const clusterId = randomUUID();
    return (epoch) => QueueStore.open({ dataDir: 'unused', redisUrl: server.url, clusterId, epoch, logger });
  });
});
