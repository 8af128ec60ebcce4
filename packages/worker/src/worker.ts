import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error, type ErrorCode } from '@dd2/core';
import { Engine, type ProviderName } from '@dd2/engine';
import { pino, type Logger } from 'pino';
import type { ConnectionOptions } from './connection.js';
import { deviceKind } from './device-kind.js';
import { isAlive } from './engine-health.js';
import { HealthServer, type HealthAddress } from './health/health-server.js';
import { LEASE_LIMIT_MS, WorkerHealth } from './health/worker-health.js';
import { KnownCoordinators } from './known-coordinators.js';
import { LocalCopies } from './local-copies.js';
import { runSession } from './session.js';

export interface WorkerOptions {
  /** `host:port` of the coordinator */
  readonly coordinator: string;
  /** for people; host and process id unless told */
  readonly name?: string;
  readonly provider: ProviderName;
  readonly intraOpThreads: number;
  /** `teacher`: works on teacher queries only; without a role it works on everything that is not placed on a pool */
  readonly role?: 'teacher';
  /** ends the worker after the lease in hand */
  readonly signal?: AbortSignal;
  /** how long after that it may compute, in milliseconds (default 25,000) */
  readonly drainMs?: number;
  readonly logger?: Logger;
  /** stream bulk data even when the coordinator is on the same machine (default false) */
  readonly stream?: boolean;
  /** how the coordinator is dialled: certificates, join token */
  readonly connection?: ConnectionOptions;
  /** dial again when the coordinator is lost (default true) */
  readonly reconnect?: boolean;
  /** where probes are answered; nowhere without */
  readonly health?: HealthAddress | undefined;
  /** milliseconds after which the engine counts as hanging while it computes a lease (default 1,800,000) */
  readonly leaseLimitMs?: number;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 1_000;
/** Up to this share is added to a wait: workers that lost their coordinator together do not come back in one instant. */
const JITTER = 0.25;
/** A session that lasted so long was a good one: what follows it is a new trouble. */
const GOOD_SESSION_MS = 10_000;
const DRAIN_MS = 25_000;
/** Dialling again does not help. */
const FATAL: ReadonlySet<ErrorCode> = new Set(['PROTOCOL', 'UNAUTHENTICATED']);

/** How a worker ended. */
export interface WorkerEnd {
  /** false: its lease was not done in time, and the engine still computes. Only the end of the process ends that. */
  readonly drained: boolean;
}

/**
 * Runs a worker until its signal aborts or the coordinator sends it home. A lost coordinator is dialled again.
 * @throws {Dd2Error} PROVIDER_UNAVAILABLE, PROTOCOL, UNAUTHENTICATED; without `reconnect`, what ended the session; UNAVAILABLE
 * when probes cannot be answered
 */
export async function runWorker(options: WorkerOptions): Promise<WorkerEnd> {
  const { signal = new AbortController().signal, leaseLimitMs = LEASE_LIMIT_MS } = options;
  const health = new WorkerHealth(signal, { leaseMs: leaseLimitMs });
  const server = options.health && (await HealthServer.start(options.health, health));
  if (server) options.logger?.info({ port: server.port }, 'probes are answered at /healthz and /readyz');
  try {
    return await work({ ...options, signal }, health);
  } finally {
    await server?.close();
  }
}

async function work(options: WorkerOptions & { readonly signal: AbortSignal }, health: WorkerHealth): Promise<WorkerEnd> {
  const { coordinator, signal, provider, intraOpThreads, role = '', stream = false, reconnect = true, drainMs = DRAIN_MS, connection = {} } = options;
  const name = options.name ?? `${hostname()}-${process.pid}`;
  const logger = (options.logger ?? pino({ level: 'silent' })).child({ worker: name });
  const late = abortedLater(signal, drainMs);
  const startEngine = async (): Promise<Engine> => {
    health.engineStarting();
    const started = await Engine.start({ provider, intraOpThreads });
    health.engineStarted(started);
    return started;
  };
  let engine = await startEngine();
  let copies = new LocalCopies(engine);
  try {
    const known = new KnownCoordinators();
    const workerId = randomUUID();
    const device = await deviceKind(provider);
    for (let wait = FIRST_WAIT_MS; !signal.aborted; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      const started = performance.now();
      try {
        const ended = await runSession({ coordinator, connection, known, workerId, name, provider, device, intraOpThreads, role, stream, engine, copies, logger, watch: health, signal, late });
        if (!ended.reconnect) break;
      } catch (thrown) {
        const error = Dd2Error.from(thrown);
        if (!reconnect || FATAL.has(error.code)) throw error;
        logger.info({ err: error.message, coordinator }, 'not connected, dialling again');
      }
      if (performance.now() - started > GOOD_SESSION_MS) wait = FIRST_WAIT_MS;
      await delay(wait * (1 + JITTER * Math.random()), undefined, { signal }).catch(() => undefined);
      if (!(await isAlive(engine))) {
        logger.warn('the engine is gone, another one is started');
        engine = await startEngine();
        copies = new LocalCopies(engine);
      }
    }
  } finally {
    if (!late.aborted) await engine.close();
  }
  return { drained: !late.aborted };
}

/** A signal that fires `ms` after another one. */
function abortedLater(signal: AbortSignal, ms: number): AbortSignal {
  const later = new AbortController();
  const count = (): void => void setTimeout(() => later.abort(), ms).unref();
  if (signal.aborted) count();
  else signal.addEventListener('abort', count, { once: true });
  return later.signal;
}
