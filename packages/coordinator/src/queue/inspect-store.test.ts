import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectEmbeddedStore, inspectRedis } from './inspect-store.js';
import { RedisServer, redisInstalled } from './testing/redis-server.js';

it('opens an embedded store in a folder of its own, and removes it', async () => {
  const folders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('dd2-store-'));
  const before = new Set(folders());
  const { milliseconds } = await inspectEmbeddedStore();
  expect(milliseconds).toBeGreaterThan(0);
  // Another process may look at the same time.
  expect(folders().filter((name) => !before.has(name)).length).toBeLessThanOrEqual(1);
});

it('says why a server does not answer, without its password', async () => {
  const failed = await inspectRedis({ url: 'redis://user:secret@127.0.0.1:1' }).catch((thrown: unknown) => thrown);
  expect(failed).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') as string });
  expect(JSON.stringify(failed, Object.getOwnPropertyNames(failed))).not.toContain('secret');
});

describe.skipIf(!redisInstalled)('a redis-server', () => {
  let server: RedisServer;
  let admin: Redis;
  beforeAll(async () => {
    server = await RedisServer.start();
    admin = new Redis(server.url);
  });
  afterAll(async () => {
    admin.disconnect();
    await server.kill();
  });

  it('tells version, policy, persistence and role', async () => {
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await admin.config('SET', 'appendonly', 'no');
    await admin.config('SET', 'save', '');
    expect(await inspectRedis({ url: server.url })).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string, maxmemoryPolicy: 'allkeys-lru', appendOnly: false, snapshots: false, role: 'master' });
    await admin.config('SET', 'save', '3600 1');
    expect(await inspectRedis({ url: server.url })).toMatchObject({ appendOnly: false, snapshots: true });
  });

  it('that asks for another password is one that cannot be used', async () => {
    await admin.config('SET', 'requirepass', 'right');
    const failed = await inspectRedis({ url: server.url.replace('redis://', 'redis://:wrong-secret@') }).catch((thrown: unknown) => thrown);
    expect(failed).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/WRONGPASS|NOAUTH/) as string });
    expect(JSON.stringify(failed, Object.getOwnPropertyNames(failed))).not.toContain('wrong-secret');
    expect(await inspectRedis({ url: server.url.replace('redis://', 'redis://:right@') })).toMatchObject({ role: 'master' });
  });
});
