import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Queue, createPostgresBackend, runMigrations } from 'bullmq';
import type { Logger } from 'pino';
import { bounded, reason, unavailable } from './bounded.js';
import { EmbeddedDatabase } from './embedded-database.js';
import { claimFolder, leaveFolder, setFolderAside } from './embedded-folder.js';
import { EmbeddedPool } from './embedded-pool.js';
import { PacedWorker, type BackendEvents, type StoreBackend, type StoreProcessor, type StoreQueue, type StoreWorker, type StoreWorkerOptions } from './store-backend.js';

const MIGRATION_TIMEOUT_MS = 60_000;

/** BullMQ on a PostgreSQL inside this process, so that one machine needs no server. Its files are in `<data folder>/queue`. */
export class EmbeddedBackend implements StoreBackend {
  readonly kind = 'embedded';
  readonly #root: string;
  readonly #epoch: bigint;
  readonly #logger: Logger;
  readonly #events: BackendEvents;
  #database: EmbeddedDatabase | undefined;
  #folder: string | undefined;

  constructor(o: { readonly dataDir: string; readonly epoch: bigint; readonly logger: Logger; readonly events: BackendEvents }) {
    this.#root = join(o.dataDir, 'queue');
    this.#epoch = o.epoch;
    this.#logger = o.logger;
    this.#events = o.events;
  }

  async connect(): Promise<void> {
    if (this.#database && !this.#database.ended) return;
    const { folder, fresh } = await claimFolder(this.#root, this.#epoch);
    this.#folder = folder;
    if (!fresh) {
      try {
        this.#database = await this.#open({ folder, fresh });
        return;
      } catch (thrown) {
        await this.#setAside(folder, reason(thrown));
      }
    }
    try {
      this.#database = await this.#open({ folder, fresh: true });
    } catch (thrown) {
      // half made; the next try begins anew
      await rm(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  async repair(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    await database?.close();
    if (this.#folder !== undefined) await this.#setAside(this.#folder, 'no job can be taken from it');
  }

  queue(name: string): StoreQueue {
    const queue = new Queue(name, { connection: this.#pool(), streams: { events: { maxLen: 100 } } }, createPostgresBackend);
    queue.on('error', (error) => this.#events.trouble(error));
    return queue;
  }

  worker(name: string, process: StoreProcessor, options: StoreWorkerOptions): StoreWorker {
    const worker = new PacedWorker(name, process, { ...options, connection: this.#pool() }, createPostgresBackend);
    worker.on('error', (error) => this.#events.trouble(error));
    return worker;
  }

  async close(): Promise<void> {
    const inOrder = await this.#database?.close();
    // a folder that cannot be marked is copied by the next coordinator, nothing more
    if (inOrder === true && this.#folder !== undefined) await leaveFolder(this.#folder).catch(() => undefined);
    this.#database = undefined;
  }

  async #open(where: { readonly folder: string; readonly fresh: boolean }): Promise<EmbeddedDatabase> {
    const database = await EmbeddedDatabase.open(where);
    try {
      const session = await new EmbeddedPool(() => database).connect();
      await bounded('be brought up to date', runMigrations(session), MIGRATION_TIMEOUT_MS);
      session.release();
      // a table that has lost its file shows when it is read
      await bounded('be read', database.query('SELECT count(*) FROM job'));
    } catch (thrown) {
      await database.close();
      throw thrown;
    }
    database.on('end', () => this.#events.changed());
    return database;
  }

  async #setAside(folder: string, why: string): Promise<void> {
    const kept = await setFolderAside(this.#root, folder);
    this.#logger.warn({ kept, reason: why }, 'the queue store is damaged: it is made anew from the runs, no run is lost');
  }

  #pool(): EmbeddedPool {
    return new EmbeddedPool(() => {
      if (!this.#database) throw unavailable('be reached', 'it is not open');
      return this.#database;
    });
  }
}
