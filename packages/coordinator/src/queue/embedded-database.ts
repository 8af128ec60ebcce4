import { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import { DEFAULT_SCHEMA } from 'bullmq';
import { bounded } from './bounded.js';
import { initOptions, templateFile } from './embedded-template.js';

/** What the thread is given, so that it need not load more than the database. */
export interface EmbeddedSource {
  readonly folder: string;
  /** whether there is none yet */
  readonly fresh: boolean;
  /** a new database as an archive, which need not exist; else one is made with `init` */
  readonly template: string;
  readonly init: { readonly initDbStartParams: string[]; readonly postgresqlconf: string[] };
  readonly schema: string;
}

export type EmbeddedRequest =
  | { readonly id: number; readonly op: 'query'; readonly sql: string; readonly parameters?: readonly unknown[] }
  | { readonly id: number; readonly op: 'close' };

export type EmbeddedReply =
  | { readonly event: 'open' }
  | { readonly event: 'answer'; readonly id: number; readonly rows: readonly unknown[] }
  | { readonly event: 'error'; readonly id: number; readonly message: string; readonly code?: string; readonly detail?: string }
  | { readonly event: 'notification'; readonly channel: string; readonly payload: string };

interface Waiting {
  readonly resolve: (rows: readonly unknown[]) => void;
  readonly reject: (error: Error) => void;
}

const OPEN_TIMEOUT_MS = 60_000;
const CLOSE_TIMEOUT_MS = 5_000;

/** PostgreSQL in a thread of this process. Emits `notification` (channel, payload) and, once, `end`. */
export class EmbeddedDatabase extends EventEmitter<{ notification: [channel: string, payload: string]; end: [] }> {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #ended: string | undefined;

  /** @throws when it cannot be opened: then it has ended */
  static async open(where: Pick<EmbeddedSource, 'folder' | 'fresh'>): Promise<EmbeddedDatabase> {
    const database = new EmbeddedDatabase({ ...where, template: templateFile(), init: initOptions, schema: DEFAULT_SCHEMA });
    const opened = new Promise<void>((resolve, reject) => {
      database.#waiting.set(0, { resolve: () => resolve(), reject });
    });
    try {
      await bounded('be opened', opened, OPEN_TIMEOUT_MS);
      return database;
    } catch (thrown) {
      await database.#thread.terminate();
      throw thrown;
    }
  }

  private constructor(source: EmbeddedSource) {
    super();
    this.setMaxListeners(0);
    // From src, where tests run, this is the compiled thread as well. What PostgreSQL prints when it gives up is for nobody.
    this.#thread = new Worker(new URL('../../dist/queue/embedded-thread.js', import.meta.url), { name: 'dd2-queue', workerData: source, stdout: true, stderr: true });
    this.#thread.on('message', (message: EmbeddedReply) => this.#receive(message));
    this.#thread.on('error', (error) => this.#end(error instanceof Error ? error.message : String(error)));
    this.#thread.on('exit', () => this.#end('its thread has ended'));
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  async query(sql: string, parameters?: readonly unknown[]): Promise<readonly unknown[]> {
    return this.#send((id) => ({ id, op: 'query', sql, ...(parameters && { parameters: parameters.map((value) => value ?? null) }) }));
  }

  /** Ends the thread, if possible with everything written and the files in order. @returns whether it was */
  async close(): Promise<boolean> {
    try {
      await bounded('be closed', this.#send((id) => ({ id, op: 'close' })), CLOSE_TIMEOUT_MS);
      return true;
    } catch {
      return false;
    } finally {
      await this.#thread.terminate();
    }
  }

  #send(request: (id: number) => EmbeddedRequest): Promise<readonly unknown[]> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(connectionLost(this.#ended));
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#thread.postMessage(request(id));
    });
  }

  #receive(message: EmbeddedReply): void {
    if (message.event === 'notification') {
      this.emit('notification', message.channel, message.payload);
      return;
    }
    const id = message.event === 'open' ? 0 : message.id;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (message.event === 'answer') waiting?.resolve(message.rows);
    else if (message.event === 'open') waiting?.resolve([]);
    else waiting?.reject(Object.assign(new Error(message.message), { code: message.code, detail: message.detail }));
  }

  #end(why: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    for (const { reject } of this.#waiting.values()) reject(connectionLost(why));
    this.#waiting.clear();
    this.emit('end');
  }
}

/** With the code of a refused connection, so that BullMQ waits before it tries again. */
const connectionLost = (why: string): Error => Object.assign(new Error(`the embedded database is gone: ${why}`), { code: 'ECONNREFUSED' });
