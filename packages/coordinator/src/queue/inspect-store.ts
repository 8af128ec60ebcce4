import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { Redis } from 'ioredis';
import { bounded } from './bounded.js';
import { EmbeddedDatabase } from './embedded-database.js';
import { templateFile } from './embedded-template.js';
import { redisConnection, type RedisAddress } from './redis-connection.js';
import { redisTrouble } from './redis-trouble.js';

export interface EmbeddedInspection {
  /** opening a new database, asking it something, and closing it */
  readonly milliseconds: number;
  /** whether the build has made the archive that a new database starts from; without it the first start takes seconds longer */
  readonly hasTemplate: boolean;
}

/** Opens an embedded queue store in a folder of its own, and removes it: that of a data folder may belong to a coordinator. @throws why it does not work here */
export async function inspectEmbeddedStore(): Promise<EmbeddedInspection> {
  const folder = await mkdtemp(join(tmpdir(), 'dd2-store-'));
  const started = performance.now();
  try {
    const database = await EmbeddedDatabase.open({ folder: join(folder, 'queue'), fresh: true });
    await bounded('be read', database.query('SELECT 1'));
    await database.close();
    return { milliseconds: performance.now() - started, hasTemplate: existsSync(templateFile()) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export type { RedisAddress } from './redis-connection.js';

export interface RedisInspection {
  readonly version: string;
  /** what it does when its memory is full; `noeviction` is what a queue needs. Empty where it does not say */
  readonly maxmemoryPolicy: string;
  /** whether it keeps what it holds when it is restarted: append-only file, or snapshots */
  readonly appendOnly: boolean;
  readonly snapshots: boolean;
  /** a replica takes no jobs */
  readonly role: string;
  readonly usedMemoryBytes: number;
  readonly milliseconds: number;
}

const CONNECT_MS = 3_000;

/** Asks a Redis server about itself. @throws {Dd2Error} UNAVAILABLE, with why it does not answer, INVALID_ARGUMENT for files that cannot be used; neither address nor password is in the message or behind it */
export async function inspectRedis(address: RedisAddress): Promise<RedisInspection> {
  const { url, ...settings } = redisConnection(address);
  const client = new Redis(url, { ...settings, lazyConnect: true, connectTimeout: CONNECT_MS, maxRetriesPerRequest: 0, retryStrategy: () => null, enableOfflineQueue: false });
  let trouble = '';
  client.on('error', (error: Error) => (trouble = redisTrouble(error)));
  try {
    await bounded('be reached', client.connect(), CONNECT_MS);
    const started = performance.now();
    const info = await bounded('tell about itself', client.info());
    const milliseconds = performance.now() - started;
    const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
    // A server that is managed by somebody else may refuse CONFIG; then there is nothing to warn of.
    const save = await bounded('tell about itself', client.config('GET', 'save')).then(
      ([, value]) => value ?? '',
      () => 'unknown',
    );
    return {
      version: field('redis_version'),
      maxmemoryPolicy: field('maxmemory_policy'),
      appendOnly: field('aof_enabled') === '1',
      snapshots: save !== '',
      role: field('role'),
      usedMemoryBytes: Number(field('used_memory') || 0),
      milliseconds,
    };
  } catch (thrown) {
    throw new Dd2Error('UNAVAILABLE', trouble === '' ? redisTrouble(thrown) : trouble);
  } finally {
    client.disconnect();
  }
}
