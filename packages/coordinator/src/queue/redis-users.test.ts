import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectRedis } from './inspect-store.js';
import { QueueStore } from './queue-store.js';
import { acceptsPassword, redisUsers } from './redis-users.js';
import { queueConformance } from './testing/conformance.js';
import { RedisServer, redisInstalled } from './testing/redis-server.js';

const logger = pino({ level: 'silent' });
const password = randomBytes(32).toString('base64url');

describe.skipIf(!redisInstalled)('a redis-server with these users', () => {
  let folder: string;
  let server: RedisServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dd2-redis-users-'));
    const aclFile = join(folder, 'users.acl');
    // Somebody who may see what was refused.
    await writeFile(aclFile, `${redisUsers(password)}user admin on >admin-of-the-test +acl|log\n`);
    server = await RedisServer.start({ password, aclFile });
  });
  afterAll(async () => {
    await server.kill();
    await rm(folder, { recursive: true, force: true });
  });

  queueConformance('redis', async () => {
    const clusterId = randomUUID();
    return (epoch) => QueueStore.open({ dataDir: 'unused', redisUrl: server.url, clusterId, epoch, logger });
  });

  it('has refused the coordinator nothing', async () => {
    const admin = new Redis({ port: server.port, username: 'admin', password: 'admin-of-the-test', enableReadyCheck: false });
    const refused = (await admin.call('ACL', 'LOG')) as unknown[][];
    admin.disconnect();
    expect(refused).toEqual([]);
  });

  it('answers probes and `dd2 doctor`', async () => {
    const client = server.client();
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
    expect(await inspectRedis({ url: server.url })).toMatchObject({ role: 'master' });
  });

  it('lets nobody in without the password', async () => {
    for (const wrong of [undefined, `${password}x`]) {
      const client = new Redis({ port: server.port, ...(wrong === undefined ? {} : { password: wrong }), retryStrategy: () => null, maxRetriesPerRequest: 0, enableReadyCheck: false });
      client.on('error', () => undefined);
      await expect(client.get('dd2:x')).rejects.toThrow();
      client.disconnect();
    }
  });

  it.each([
    ['keys of others', ['get', 'other:key']],
    ['keys of others in a script', ['eval', "return redis.call('set', 'other:key', '1')", '0']],
    ['settings', ['config', 'set', 'dir', '/tmp']],
    ['losing everything', ['flushall']],
    ['enumerating keys', ['keys', '*']],
    ['other clients', ['client', 'list']],
    ['users', ['acl', 'list']],
    ['replication', ['replicaof', '127.0.0.1', '1']],
    ['stopping it', ['shutdown', 'nosave']],
    ['functions', ['function', 'flush']],
    ['scripts of others', ['script', 'flush']],
    ['channels', ['publish', 'a', 'b']],
    ['saving elsewhere', ['migrate', '127.0.0.1', '1', 'dd2:x', '0', '1']],
  ])('refuses %s', async (_what, [command = '', ...args]) => {
    const client = server.client();
    await expect(client.call(command, ...args)).rejects.toThrow(/NOPERM|can't access|No permissions|ACL failure/i);
    client.disconnect();
  });
});

describe('the users', () => {
  it('are one line that holds no password', () => {
    expect(redisUsers(password)).toMatch(/^user default reset on #[\da-f]{64} ~dd2:\* [^\n]*\n$/);
    expect(redisUsers(password)).not.toContain(password);
  });

  it('are recognised by the password', () => {
    expect(acceptsPassword(redisUsers(password), password)).toBe(true);
    expect(acceptsPassword('user admin on #00 ~*\nuser default on >secret-of-mine ~dd2:* +@all\n', 'secret-of-mine')).toBe(true);
    for (const users of ['', `# ${redisUsers(password)}`, redisUsers('another'), 'user default on nopass ~* +@all']) expect(acceptsPassword(users, password)).toBe(false);
  });
});
