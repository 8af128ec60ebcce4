import { readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import type { Engine } from '@dd2/engine';
import {
  fromStatus,
  PROTOCOL_VERSION,
  toErrorDetail,
  type ControlRequestSchema,
  type Lease,
  type LeaseResultSchema,
  type LocalExchange,
  type MessageInitShape,
  type Welcome,
} from '@dd2/proto';
import type { Logger } from 'pino';
import { connect, type ConnectionOptions } from './connection.js';
import { isAlive } from './engine-health.js';
import { executeLease } from './execute-lease.js';
import type { SessionWatch } from './health/worker-health.js';
import type { KnownCoordinators } from './known-coordinators.js';
import { LeaseQueue } from './lease-queue.js';
import type { LocalCopies } from './local-copies.js';

type ControlMessage = NonNullable<MessageInitShape<typeof ControlRequestSchema>['message']>;

const WELCOME_MS = 5_000;
/** The coordinator has this long to end a session that the worker leaves. */
const GOODBYE_MS = 1_000;

export interface SessionOptions {
  readonly coordinator: string;
  /** how the coordinator is dialled */
  readonly connection: ConnectionOptions;
  /** coordinators that earlier sessions have met */
  readonly known: KnownCoordinators;
  readonly workerId: string;
  readonly name: string;
  readonly provider: string;
  /** see `deviceKind` */
  readonly device: string;
  readonly intraOpThreads: number;
  /** the group of leases that it works on; empty: those of no group */
  readonly role: string;
  readonly stream: boolean;
  readonly engine: Engine;
  /** what earlier sessions have pulled into the engine */
  readonly copies: LocalCopies;
  readonly logger: Logger;
  /** is told how the session goes */
  readonly watch: SessionWatch;
  /** drains: the lease in hand is finished, then the session ends */
  readonly signal: AbortSignal;
  /** ends the session whatever is in hand; fires some time after `signal` */
  readonly late: AbortSignal;
  /** a coordinator that does not answer Hello within this time is not there (default 5,000) */
  readonly welcomeMs?: number;
}

/** One session with the coordinator. Resolves when it ended on purpose: whether to dial again. Rejects when it broke. */
export async function runSession(options: SessionOptions): Promise<{ readonly reconnect: boolean }> {
  const { coordinator, copies, engine, logger, watch, signal, late, welcomeMs = WELCOME_MS } = options;
  const { control: stream, bulk, uploaded, close } = connect(coordinator, options.connection);
  let exchange: string | undefined;
  let exchangeName = '';
  let heartbeat: NodeJS.Timeout | undefined;
  let broken: Dd2Error | undefined;
  let over = false;

  const send = (message: ControlMessage): void => {
    if (!stream.destroyed && !stream.writableEnded) stream.write({ message });
  };
  const failed = (lease: Lease, error: Dd2Error): void => {
    if (over) return;
    // A lease whose parameters are gone has ended meanwhile; anything else people should know.
    if (error.code !== 'STALE_LEASE') logger.warn({ lease: lease.leaseId, err: error }, 'the lease could not be executed');
    send({ case: 'leaseFailed', value: { leaseId: lease.leaseId, epoch: lease.epoch, error: toErrorDetail(error) } });
  };
  const execute = async (lease: Lease): Promise<MessageInitShape<typeof LeaseResultSchema>> => {
    const surroundings = { engine, copies, exchangeName, client: bulk, onRefused: failed };
    try {
      return await executeLease(lease, { ...surroundings, source: { client: bulk, exchange } });
    } catch (thrown) {
      const error = fromStatus(thrown);
      if (exchange === undefined || error.field?.startsWith(exchange) !== true) throw error;
      const result = await executeLease(lease, { ...surroundings, source: { client: bulk } });
      logger.warn({ err: error }, 'the folder that is shared with the coordinator cannot be used: parameters and gradients are streamed');
      exchange = undefined;
      return result;
    }
  };
  const queue = new LeaseQueue(async (lease) => {
    watch.computing(true);
    try {
      send({ case: 'leaseResult', value: await execute(lease) });
    } catch (thrown) {
      const error = fromStatus(thrown);
      // Without an engine this worker is lost, which is not the lease's failure: it goes to another worker.
      if (error.code === 'UNAVAILABLE' && !(await isAlive(engine))) stream.cancel();
      else failed(lease, error);
    } finally {
      watch.computing(false);
    }
  });
  const breakOff = (error: Dd2Error): void => {
    broken ??= error;
    stream.cancel();
  };
  const finished = async (): Promise<void> => {
    const settled = new AbortController();
    await Promise.race([queue.idle().then(uploaded), aborted(late, settled.signal)]);
    settled.abort();
  };
  const drain = async (): Promise<void> => {
    queue.clear();
    send({ case: 'leaving', value: { leaseId: queue.current?.leaseId ?? '' } });
    await finished();
    stream.end();
    await delay(GOODBYE_MS, undefined, { ref: false }); // the coordinator ends its side first, unless it is gone
    stream.cancel();
  };
  const onAbort = (): void => void drain();
  const welcomed = async (welcome: Welcome): Promise<void> => {
    options.known.meet(welcome.clusterId, welcome.epoch);
    clearTimeout(unanswered);
    watch.welcomed();
    logger.info({ coordinator, session: welcome.sessionId }, 'connected');
    exchangeName = `${welcome.sessionId}.gradient`;
    exchange = options.stream ? undefined : await sharedFolder(welcome.localExchange);
    clearInterval(heartbeat);
    heartbeat = setInterval(() => send({ case: 'heartbeat', value: { sentAtMs: BigInt(Date.now()), busy: queue.current !== undefined } }), welcome.heartbeatIntervalMs);
  };

  const unanswered = setTimeout(() => breakOff(new Dd2Error('UNAVAILABLE', `the coordinator did not answer within ${welcomeMs} ms`)), welcomeMs);
  try {
    send({
      case: 'hello',
      value: {
        workerId: options.workerId,
        name: options.name,
        provider: options.provider,
        intraOpThreads: options.intraOpThreads,
        processId: process.pid,
        host: hostname(),
        device: options.device,
        protocolVersion: PROTOCOL_VERSION,
        capacity: 1,
        pool: options.role,
      },
    });
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    for await (const { message } of stream) {
      switch (message.case) {
        case 'welcome':
          await welcomed(message.value);
          break;
        case 'lease':
          if (!signal.aborted) queue.push(message.value); // the coordinator takes back what it had sent before it heard of the leaving
          break;
        case 'revoke':
          queue.revoke(message.value.leaseId);
          break;
        case 'forget': {
          const { contentIds, runIds } = message.value;
          queue.run(() => copies.forget(contentIds, runIds).catch(() => undefined)); // an engine that is gone holds nothing
          break;
        }
        case 'streamOnly':
          exchange = undefined;
          break;
        case 'shutdown':
          return { reconnect: message.value.reconnect };
        case undefined:
          break;
      }
    }
    if (signal.aborted) return { reconnect: false };
    throw new Dd2Error('UNAVAILABLE', 'the coordinator ended the session');
  } catch (thrown) {
    if (signal.aborted) return { reconnect: false };
    throw broken ?? fromStatus(thrown);
  } finally {
    over = true;
    watch.disconnected();
    clearTimeout(unanswered);
    clearInterval(heartbeat);
    signal.removeEventListener('abort', onAbort);
    queue.clear();
    close();
    await finished();
    if (exchange !== undefined) await rm(join(exchange, exchangeName), { force: true });
  }
}

/** Stops listening when `unless` aborts: the signal outlives many sessions. */
function aborted(signal: AbortSignal, unless: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true, signal: unless });
  });
}

/** The exchange folder if this process sees the same one as the coordinator. */
async function sharedFolder(exchange: LocalExchange | undefined): Promise<string | undefined> {
  if (!exchange) return undefined;
  const content = await readFile(join(exchange.folder, exchange.probe), 'utf8').catch(() => undefined);
  return content === exchange.token ? exchange.folder : undefined;
}
