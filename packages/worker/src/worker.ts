import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import { Engine, type ProviderName } from '@dd2/engine';
import { pino, type Logger } from 'pino';
import { isAlive } from './engine-health.js';
import { LocalCopies } from './local-copies.js';
import { runSession } from './session.js';

export interface WorkerOptions {
  /** `host:port` of the coordinator */
  readonly coordinator: string;
  /** for people; host and process id unless told */
  readonly name?: string;
  readonly provider: ProviderName;
  readonly intraOpThreads: number;
  /** ends the worker after the lease in hand */
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
  /** stream bulk data even when the coordinator is on the same machine (default false) */
  readonly stream?: boolean;
  /** dial again when the coordinator is lost (default true) */
  readonly reconnect?: boolean;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/**
 * Runs a worker until its signal aborts or the coordinator sends it home. A lost coordinator is dialled again.
 * @throws {Dd2Error} PROVIDER_UNAVAILABLE; without `reconnect`, what ended the session
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const { coordinator, provider, intraOpThreads, stream = false, reconnect = true } = options;
  const name = options.name ?? `${hostname()}-${process.pid}`;
  const logger = (options.logger ?? pino({ level: 'silent' })).child({ worker: name });
  const signal = options.signal ?? new AbortController().signal;
  let engine = await Engine.start({ provider, intraOpThreads });
  let copies = new LocalCopies(engine);
  try {
    const workerId = randomUUID();
    for (let wait = FIRST_WAIT_MS; !signal.aborted; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      const started = performance.now();
      try {
        const ended = await runSession({ coordinator, workerId, name, provider, intraOpThreads, stream, engine, copies, logger, signal });
        if (!ended.reconnect) return;
      } catch (thrown) {
        const error = Dd2Error.from(thrown);
        if (!reconnect || error.code === 'PROTOCOL') throw error;
        logger.info({ err: error.message, coordinator }, 'not connected, dialling again');
      }
      if (performance.now() - started > 10 * LONGEST_WAIT_MS) wait = FIRST_WAIT_MS;
      await delay(wait, undefined, { signal }).catch(() => undefined);
      if (!(await isAlive(engine))) {
        logger.warn('the engine is gone, another one is started');
        engine = await Engine.start({ provider, intraOpThreads });
        copies = new LocalCopies(engine);
      }
    }
  } finally {
    await engine.close();
  }
}
