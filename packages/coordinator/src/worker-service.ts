import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { Dd2Error } from '@dd2/core';
import {
  fromErrorDetail,
  fromNamedTensors,
  fromStatus,
  PROTOCOL_VERSION,
  receiveBulk,
  sendBulk,
  type ControlRequest,
  type ControlResponseSchema,
  type Handlers,
  type Hello,
  type LeaseResult,
  type MessageInitShape,
  type WorkerService,
} from '@dd2/proto';
import type { Logger } from 'pino';
import { SHARD_BYTES, shardLength } from './aggregator.js';
import type { ContentStore } from './content-store.js';
import { ControlMessages } from './control-messages.js';
import { executionKind } from './execution-kind.js';
import type { Dispatcher, Job, LeaseReport, MicroBatchOutcome } from './dispatcher.js';
import type { Lease } from './lease-table.js';
import type { LocalExchange } from './local-exchange.js';
import { readPublished, type ParameterStore } from './parameter-store.js';

type ControlMessage = NonNullable<MessageInitShape<typeof ControlResponseSchema>['message']>;

const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 5_000 };
/** what a worker says of itself is for logs and pages: longer texts are refused */
const MAX_HELLO_TEXT = 256;
/** leases that one worker may hold at once, whatever it asks for */
const MAX_CAPACITY = 8;

/** A connected worker, for people. */
export interface ConnectedWorker {
  readonly session: string;
  readonly hello: Hello;
  readonly joinedAt: Date;
}

export interface WorkerServiceOptions {
  readonly epoch: bigint;
  readonly dispatcher: Dispatcher;
  readonly contents: ContentStore;
  readonly exchange: LocalExchange;
  readonly parametersOf: (runId: string) => ParameterStore | undefined;
  readonly logger: Logger;
  /** how often a worker must be heard, and the silence after which it is given up */
  readonly heartbeat?: { readonly intervalMs: number; readonly timeoutMs: number };
  readonly onWorkers: (change: 'joined' | 'left', worker: ConnectedWorker) => void;
}

/** The coordinator's side of WorkerService: sessions, leases, and the bulk streams. */
export class WorkerSessions {
  readonly #workers = new Map<string, ConnectedWorker>();
  readonly #endSession = new Set<() => void>();

  constructor(readonly options: WorkerServiceOptions) {}

  get workers(): readonly ConnectedWorker[] {
    return [...this.#workers.values()];
  }

  /** Ends every session; workers that are told to reconnect dial again. */
  end(): void {
    for (const end of this.#endSession) end();
  }

  handlers(): Handlers<typeof WorkerService> {
    const { contents, parametersOf } = this.options;
    return {
      control: (stream, context) => this.#control(stream, context.signal),
      getProgram: async ({ programId }, stream) => {
        const parts = served(contents.get(programId), 'program', programId);
        await sendBulk(stream, { name: programId, totalBytes: totalBytes(parts) }, parts);
      },
      getAsset: async ({ assetId }, stream) => {
        const parts = served(contents.get(assetId), 'asset', assetId);
        await sendBulk(stream, { name: assetId, totalBytes: totalBytes(parts) }, parts);
      },
      getParameters: async ({ runId, source, version }, stream) => {
        const published = served(parametersOf(runId)?.find(source, Number(version)), 'parameters', `${source} version ${version}`);
        const { size } = published;
        await sendBulk(stream, { runId, name: source, version, totalBytes: size * 4, dtype: 'float32', shape: [size] }, readPublished(published, SHARD_BYTES));
      },
      pushGradient: (stream) => this.#receiveGradient(stream),
    };
  }

  /** One worker's session, from Hello to the end of its stream. */
  async #control(stream: Parameters<Handlers<typeof WorkerService>['control']>[0], signal: AbortSignal): Promise<void> {
    const { dispatcher, epoch, exchange, heartbeat = HEARTBEAT, logger, onWorkers } = this.options;
    const session = randomUUID();
    const send = (message: ControlMessage): void => {
      if (!stream.destroyed && !stream.writableEnded) stream.write({ message });
    };
    const messages = new ControlMessages(stream);
    const end = (): void => {
      send({ case: 'shutdown', value: { reason: 'the coordinator stops', reconnect: true } });
      messages.stop();
    };
    this.#endSession.add(end);
    signal.addEventListener('abort', () => messages.stop(), { once: true });
    // Silence is counted in ticks: when this process was held up itself, one tick passes, and the workers are not to blame.
    let silentTicks = 0;
    const silence = setInterval(() => {
      silentTicks += 1;
      if (silentTicks * heartbeat.intervalMs > heartbeat.timeoutMs) messages.stop(new Dd2Error('UNAVAILABLE', `the worker was silent for ${heartbeat.timeoutMs} ms`));
    }, heartbeat.intervalMs);

    let worker: ConnectedWorker | undefined;
    try {
      for await (const { message } of messages.read()) {
        silentTicks = -Infinity; // nobody listens while a message is handled
        if (worker) await this.#handle(message, worker);
        else {
          if (message.case !== 'hello') throw new Dd2Error('PROTOCOL', 'a session starts with Hello', { field: 'message' });
          worker = this.#welcome(session, message.value);
          send({
            case: 'welcome',
            value: {
              epoch,
              heartbeatIntervalMs: heartbeat.intervalMs,
              heartbeatTimeoutMs: heartbeat.timeoutMs,
              sessionId: session,
              protocolVersion: PROTOCOL_VERSION,
              localExchange: { folder: exchange.folder, probe: exchange.probe, token: exchange.token },
            },
          });
          dispatcher.join(session, Math.min(MAX_CAPACITY, Math.max(1, worker.hello.capacity)), executionKind(worker.hello), {
            lease: (lease) => send({ case: 'lease', value: leaseMessage(lease, epoch) }),
            revoke: (lease) => send({ case: 'revoke', value: { leaseId: wireId(lease) } }),
          });
          onWorkers('joined', worker);
        }
        silentTicks = 0;
      }
    } catch (thrown) {
      const error = fromStatus(thrown);
      if (worker) logger.info({ worker: worker.hello.name, err: error }, 'a worker session broke');
      throw error;
    } finally {
      clearInterval(silence);
      this.#endSession.delete(end);
      this.#workers.delete(session);
      dispatcher.leave(session);
      if (worker) onWorkers('left', worker);
      await exchange.removeGradientOf(session).catch((error: unknown) => logger.warn({ session, err: error }, 'the gradient file of a session could not be removed'));
    }
  }

  async #handle(message: ControlRequest['message'], { session, hello }: ConnectedWorker): Promise<void> {
    const { dispatcher, logger } = this.options;
    switch (message.case) {
      case 'leaseResult':
        await this.#leaseResult(session, message.value);
        break;
      case 'leaseFailed': {
        const error = message.value.error ? fromErrorDetail(message.value.error) : new Dd2Error('INTERNAL', 'the worker gave no reason');
        const lease = this.#current(message.value, session);
        logger.warn({ worker: hello.name, lease: message.value.leaseId, current: lease !== undefined, err: error }, 'a lease failed');
        if (lease) dispatcher.failed(lease.id, error);
        break;
      }
      case 'leaving':
        dispatcher.drain(session);
        break;
      case 'hello':
        throw new Dd2Error('PROTOCOL', 'a session has one Hello', { field: 'message' });
      case 'heartbeat':
      case undefined:
        break;
    }
  }

  #welcome(session: string, hello: Hello): ConnectedWorker {
    if (hello.protocolVersion !== PROTOCOL_VERSION) {
      throw new Dd2Error('PROTOCOL', `worker "${hello.name}" speaks version ${hello.protocolVersion} of the protocol, this coordinator ${PROTOCOL_VERSION}`, {
        field: 'protocol_version',
        remedy: 'Run workers and coordinator from the same release',
      });
    }
    for (const [field, text] of Object.entries({ worker_id: hello.workerId, name: hello.name, provider: hello.provider, host: hello.host, device: hello.device, pool: hello.pool })) {
      if (text.length > MAX_HELLO_TEXT) throw new Dd2Error('PROTOCOL', `a worker describes itself in ${text.length} characters, at most ${MAX_HELLO_TEXT} are allowed`, { field });
    }
    const worker = { session, hello, joinedAt: new Date() };
    this.#workers.set(session, worker);
    return worker;
  }

  /** A result of a lease that is not current (late, foreign, of another epoch) changes nothing; one that does not fit its lease fails it. */
  async #leaseResult(session: string, result: LeaseResult): Promise<void> {
    const { dispatcher, exchange, logger } = this.options;
    const lease = this.#current(result, session);
    if (!lease) return;
    try {
      const file = result.gradientFile === '' ? undefined : exchange.gradientPath(session, result.gradientFile);
      if (lease.job.gradient && file === undefined && !result.gradientPushed) throw new Dd2Error('PROTOCOL', 'the lease asks for a gradient, its result has none', { field: 'gradient_pushed' });
      const outcome = report(lease, result);
      if (file !== undefined && lease.job.gradient) {
        await lease.job.gradient.reduction.contributeFile(lease.span, file);
        dispatcher.gradientReceived(lease.id);
      }
      dispatcher.reported(lease.id, outcome);
    } catch (thrown) {
      const error = Dd2Error.from(thrown, 'PROTOCOL');
      logger.warn({ session, lease: result.leaseId, err: error }, 'a result was refused');
      dispatcher.failed(lease.id, error);
    }
  }

  /** The lease that a message names, if it is of this epoch, still wanted, and the session's. Anything else is late or foreign. */
  #current({ leaseId, epoch }: { readonly leaseId: string; readonly epoch: bigint }, session?: string): Lease<Job> | undefined {
    const lease = epoch === this.options.epoch ? this.options.dispatcher.find(Number(/^\d{1,15}(?=-)/.exec(leaseId)?.[0])) : undefined;
    return lease && wireId(lease) === leaseId && (session === undefined || lease.worker === session) ? lease : undefined;
  }

  /** Hands each shard to the reduction as it arrives; a gradient of another shape or of a stale lease is refused. */
  async #receiveGradient(stream: Parameters<Handlers<typeof WorkerService>['pushGradient']>[0]): Promise<{ accepted: boolean; reason: string }> {
    const { dispatcher, logger } = this.options;
    let lease: Lease<Job> | undefined;
    const gradient = (): NonNullable<Job['gradient']> => {
      if (!lease?.job.gradient) throw new Dd2Error('STALE_LEASE', 'this lease takes no gradient', { field: 'lease_id' });
      return lease.job.gradient;
    };
    try {
      await receiveBulk(stream, {
        maxBytes: Number.MAX_SAFE_INTEGER,
        onHeader: (header) => {
          lease = this.#current(header);
          const expected = gradient().size * 4;
          if (header.totalBytes !== expected || header.dtype !== 'float32') {
            throw new Dd2Error('PROTOCOL', `a gradient of ${header.totalBytes} bytes of ${header.dtype ?? 'unknown type'} arrived, ${expected} bytes of float32 were expected`, { field: 'total_bytes' });
          }
        },
        onChunk: (data, offset) => {
          const { reduction, size } = gradient();
          const shard = offset / SHARD_BYTES;
          if (!Number.isInteger(shard) || data.byteLength !== shardLength(size, shard) * 4) {
            throw new Dd2Error('PROTOCOL', `a gradient chunk at byte ${offset} with ${data.byteLength} bytes is not a shard`, { field: 'offset', remedy: `Send chunks of ${SHARD_BYTES} bytes` });
          }
          if (lease && dispatcher.find(lease.id)) reduction.contribute(lease.span, shard, data);
        },
      });
    } catch (thrown) {
      const error = fromStatus(thrown);
      // A gradient that is wrong fails its lease; one that broke off does not: its worker reports that, or is lost.
      if (lease && error.code === 'PROTOCOL') {
        logger.warn({ lease: lease.id, err: error }, 'a gradient was refused');
        dispatcher.failed(lease.id, error);
      }
      throw error;
    }
    if (!lease || !dispatcher.find(lease.id)) return { accepted: false, reason: 'another worker was first' };
    dispatcher.gradientReceived(lease.id);
    return { accepted: true, reason: '' };
  }
}

/** A lease's id on the wire ends with the session that holds it, so that no other worker can guess it. */
function wireId({ id, worker }: Lease): string {
  return `${id}-${worker}`;
}

function served<T>(value: T | undefined, what: string, name: string): T {
  if (value === undefined) throw new Dd2Error('STALE_LEASE', `there are no such ${what}`, { field: name, remedy: 'The lease that named them has ended: drop it' });
  return value;
}

function totalBytes(parts: readonly Uint8Array[]): number {
  return parts.reduce((total, part) => total + part.byteLength, 0);
}

function leaseMessage(lease: Lease<Job>, epoch: bigint): Extract<ControlMessage, { case: 'lease' }>['value'] {
  const { job, span } = lease;
  return {
    leaseId: wireId(lease),
    epoch,
    runId: job.runId,
    programId: job.programId,
    seed: BigInt(job.seed),
    update: job.update,
    firstSample: job.firstSample,
    firstMicroBatch: span.from,
    microBatchCount: span.to - span.from,
    parameters: Object.entries(job.parameters).map(([network, { source, version, size, path }]) => ({
      network,
      source,
      version: BigInt(version),
      size: BigInt(size),
      file: `${job.runId}/${basename(path)}`,
    })),
    assets: Object.entries(job.assets).map(([name, assetId]) => ({ name, assetId })),
    expectsGradient: job.gradient !== undefined,
  };
}

/** @throws {Dd2Error} PROTOCOL when the result does not cover exactly the micro-batches of its lease */
function report(lease: Lease<Job>, result: LeaseResult): LeaseReport {
  const microBatches = result.microBatches.map(({ index, metrics, results }): MicroBatchOutcome => ({ index, metrics, results: fromNamedTensors(results) }));
  const wanted = Array.from({ length: lease.span.to - lease.span.from }, (_, i) => lease.span.from + i);
  if (microBatches.length !== wanted.length || microBatches.some(({ index }, i) => index !== wanted[i])) {
    throw new Dd2Error('PROTOCOL', `lease ${lease.id} covers micro-batches ${lease.span.from} to ${lease.span.to - 1}, its result others`, { field: 'micro_batches' });
  }
  for (const [field, value] of [['compute_ms', result.computeMs], ['transfer_ms', result.transferMs]] as const) {
    if (!(value >= 0 && value < Infinity)) throw new Dd2Error('PROTOCOL', `${value} is no duration`, { field });
  }
  return { microBatches, computeMs: result.computeMs, transferMs: result.transferMs };
}
