import { readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import type { Engine } from '@dd2/engine';
import {
  createClient,
  fromStatus,
  PROTOCOL_VERSION,
  toErrorDetail,
  WorkerService,
  type ControlRequestSchema,
  type Lease,
  type LocalExchange,
  type MessageInitShape,
} from '@dd2/proto';
import type { Logger } from 'pino';
import { isAlive } from './engine-health.js';
import { executeLease } from './execute-lease.js';
import { LeaseQueue } from './lease-queue.js';
import type { LocalCopies } from './local-copies.js';

type ControlMessage = NonNullable<MessageInitShape<typeof ControlRequestSchema>['message']>;

/** The coordinator has this long to end a session that the worker leaves. */
const GOODBYE_MS = 1_000;

export interface SessionOptions {
  readonly coordinator: string;
  readonly workerId: string;
  readonly name: string;
  readonly provider: string;
  readonly intraOpThreads: number;
  readonly stream: boolean;
  readonly engine: Engine;
  /** what earlier sessions have pulled into the engine */
  readonly copies: LocalCopies;
  readonly logger: Logger;
  /** drains: the lease in hand is finished, then the session ends */
  readonly signal: AbortSignal;
}

/** One session with the coordinator. Resolves when it ended on purpose: whether to dial again. Rejects when it broke. */
export async function runSession(options: SessionOptions): Promise<{ readonly reconnect: boolean }> {
  const { coordinator, copies, engine, logger, signal } = options;
  // Bulk streams have a connection of their own: heartbeats and leases do not queue behind them.
  const control = createClient(WorkerService, coordinator);
  const bulk = createClient(WorkerService, coordinator);
  const stream = control.control();
  let exchange: string | undefined;
  let exchangeName = '';
  let heartbeat: NodeJS.Timeout | undefined;

  const send = (message: ControlMessage): void => {
    if (!stream.destroyed && !stream.writableEnded) stream.write({ message });
  };
  const failed = (lease: Lease, error: Dd2Error): void => {
    // A lease whose parameters are gone has ended meanwhile; anything else people should know.
    if (error.code !== 'STALE_LEASE') logger.warn({ lease: lease.leaseId, err: error }, 'the lease could not be executed');
    send({ case: 'leaseFailed', value: { leaseId: lease.leaseId, epoch: lease.epoch, error: toErrorDetail(error) } });
  };
  const queue = new LeaseQueue(async (lease) => {
    try {
      const result = await executeLease(lease, { engine, copies, source: { client: bulk, exchange }, exchangeName, client: bulk, onRefused: failed });
      send({ case: 'leaseResult', value: result });
    } catch (thrown) {
      const error = fromStatus(thrown);
      // Without an engine this worker is lost, which is not the lease's failure: it goes to another worker.
      if (error.code === 'UNAVAILABLE' && !(await isAlive(engine))) stream.cancel();
      else failed(lease, error);
    }
  });
  const drain = async (): Promise<void> => {
    send({ case: 'leaving', value: {} });
    await queue.idle();
    stream.end();
    await delay(GOODBYE_MS, undefined, { ref: false }); // the coordinator ends its side first, unless it is gone
    stream.cancel();
  };
  const onAbort = (): void => void drain();

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
        protocolVersion: PROTOCOL_VERSION,
        capacity: 1,
      },
    });
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    for await (const { message } of stream) {
      switch (message.case) {
        case 'welcome':
          logger.info({ coordinator, session: message.value.sessionId }, 'connected');
          exchangeName = `${message.value.sessionId}.gradient`;
          if (!options.stream) exchange = await sharedFolder(message.value.localExchange);
          clearInterval(heartbeat);
          heartbeat = setInterval(() => send({ case: 'heartbeat', value: { sentAtMs: BigInt(Date.now()), busy: queue.busy } }), message.value.heartbeatIntervalMs);
          break;
        case 'lease':
          queue.push(message.value);
          break;
        case 'revoke':
          queue.revoke(message.value.leaseId);
          break;
        case 'shutdown':
          return { reconnect: message.value.reconnect };
        case 'forget':
        case undefined:
          break;
      }
    }
    if (signal.aborted) return { reconnect: false };
    throw new Dd2Error('UNAVAILABLE', 'the coordinator ended the session');
  } catch (thrown) {
    if (signal.aborted) return { reconnect: false };
    throw fromStatus(thrown);
  } finally {
    clearInterval(heartbeat);
    signal.removeEventListener('abort', onAbort);
    queue.clear();
    stream.cancel();
    control.close();
    bulk.close();
    await queue.idle();
    if (exchange !== undefined) await rm(join(exchange, exchangeName), { force: true });
  }
}

/** The exchange folder if this process sees the same one as the coordinator. */
async function sharedFolder(exchange: LocalExchange | undefined): Promise<string | undefined> {
  if (!exchange) return undefined;
  const content = await readFile(join(exchange.folder, exchange.probe), 'utf8').catch(() => undefined);
  return content === exchange.token ? exchange.folder : undefined;
}
