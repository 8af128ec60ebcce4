import { once } from 'node:events';
import { Queue, createRedisBackend } from 'bullmq';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { bounded, unavailable } from './bounded.js';
import { redisConnection, type RedisAddress, type RedisConnection } from './redis-connection.js';
import { redisTrouble } from './redis-trouble.js';
import { PacedWorker, type BackendEvents, type StoreBackend, type StoreProcessor, type StoreQueue, type StoreWorker, type StoreWorkerOptions } from './store-backend.js';

const dialling = { connectTimeout: 2_000 };
/** Calls fail at once when the connection is down and soon when the server does not answer; what was cut off is not sent again. */
const callers = { ...dialling, enableOfflineQueue: false, autoResendUnfulfilledCommands: false, socketTimeout: 2_000 };
/** Workers wait for the server. Their longest wait for an answer is BullMQ's blocking one, 10 s: a connection silent for longer is dead. */
const waiters = { ...dialling, maxRetriesPerRequest: null, socketTimeout: 15_000 };

/** BullMQ on a Redis server. All connections are dialled in the background and again whenever they break. */
export class RedisBackend implements StoreBackend {
  readonly kind = 'redis';
  readonly #client: Redis;
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #logger: Logger;
  readonly #events: BackendEvents;
  #trouble = 'not connected yet';
  /** whether the server behind the present connection has been looked at */
  #inspected = false;

  /** @throws {Dd2Error} INVALID_ARGUMENT when the URL is none, or its files cannot be used */
  constructor(o: { readonly address: RedisAddress; readonly clusterId: string; readonly logger: Logger; readonly events: BackendEvents }) {
    this.#connection = redisConnection(o.address);
    this.#prefix = `dd2:${o.clusterId}`;
    this.#logger = o.logger;
    this.#events = o.events;
    const { url, ...settings } = this.#connection;
    this.#client = new Redis(url, { ...callers, ...settings });
    this.#client.on('error', (error: Error) => {
      this.#trouble = redisTrouble(error);
    });
    this.#client.on('ready', () => o.events.changed());
    this.#client.on('close', () => {
      this.#inspected = false;
      o.events.changed();
    });
  }

  async connect(): Promise<void> {
    if (this.#client.status === 'connecting' || this.#client.status === 'connect') {
      await bounded('be reached', once(this.#client, 'ready')).catch((thrown: unknown) => {
        throw unavailable('be reached', redisTrouble(thrown));
      });
    }
    if (this.#client.status !== 'ready') throw unavailable('be reached', this.#trouble);
    if (this.#inspected) return;
    const info = await bounded('tell about itself', this.#client.info());
    this.#inspected = true;
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
    if (policy !== undefined && policy !== 'noeviction') {
      this.#logger.warn({ policy }, 'this Redis may throw jobs away when its memory is full: set its maxmemory-policy to noeviction');
    }
    const version = /^redis_version:(\d+)\.(\d+)/m.exec(info);
    if (version && (Number(version[1]) < 6 || (Number(version[1]) === 6 && Number(version[2]) < 2))) {
      this.#logger.warn({ version: `${version[1]}.${version[2]}` }, 'this Redis is older than 6.2, which the queue is made for');
    }
  }

  /** Queue and worker have been made anew with connections of their own, so only the shared one is left. */
  async repair(): Promise<void> {
    this.#client.disconnect(true);
  }

  queue(name: string): StoreQueue {
    const queue = new Queue(name, { connection: this.#client, prefix: this.#prefix, skipVersionCheck: true, streams: { events: { maxLen: 100 } } }, createRedisBackend);
    queue.on('error', (error) => this.#events.trouble(error));
    return queue;
  }

  worker(name: string, process: StoreProcessor, options: StoreWorkerOptions): StoreWorker {
    const connection = { ...waiters, ...this.#connection };
    const worker = new PacedWorker(name, process, { ...options, connection, prefix: this.#prefix, skipVersionCheck: true }, createRedisBackend);
    worker.on('error', (error) => this.#events.trouble(error));
    return worker;
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }
}
