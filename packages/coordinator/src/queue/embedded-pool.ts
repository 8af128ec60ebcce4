import { EventEmitter } from 'node:events';
import type { PgPool, PgPoolClient, PgQueryResult } from 'bullmq';
import type { EmbeddedDatabase } from './embedded-database.js';

/**
 * The embedded database as BullMQ's PostgreSQL backend expects it: a pool of connections. They all share the one session,
 * which is enough because no call of the backend but the migrations spans several queries.
 */
export class EmbeddedPool extends EventEmitter implements PgPool {
  constructor(readonly database: () => EmbeddedDatabase) {
    super();
  }

  async query<R>(sql: string, parameters?: readonly unknown[]): Promise<PgQueryResult<R>> {
    // a query's rows are whatever the caller says they are
    const rows = (await this.database().query(sql, parameters)) as R[];
    return { rows, rowCount: rows.length };
  }

  async connect(): Promise<PgPoolClient> {
    return new EmbeddedSession(this.database());
  }

  /** The database belongs to the backend, which outlives every pool. */
  async end(): Promise<void> {}
}

class EmbeddedSession extends EventEmitter implements PgPoolClient {
  readonly #database: EmbeddedDatabase;
  readonly #notify = (channel: string, payload: string): void => void this.emit('notification', { channel, payload });
  readonly #end = (): void => {
    this.#unhook();
    if (this.listenerCount('error') > 0) this.emit('error', new Error('the embedded database is gone'));
  };

  constructor(database: EmbeddedDatabase) {
    super();
    this.#database = database;
    database.on('notification', this.#notify);
    database.on('end', this.#end);
  }

  async query<R>(sql: string, parameters?: readonly unknown[]): Promise<PgQueryResult<R>> {
    const rows = (await this.#database.query(sql, parameters)) as R[];
    return { rows, rowCount: rows.length };
  }

  release(): void {
    this.#unhook();
  }

  #unhook(): void {
    this.#database.off('notification', this.#notify);
    this.#database.off('end', this.#end);
  }
}
