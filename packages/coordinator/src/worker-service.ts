import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { Dd2Error } from '@dd2/core';
import {
  fromErrorDetail,
  fromStatus,
  PROTOCOL_VERSION,
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
import { SHARD_BYTES } from './aggregator.js';
import type { ContentStore } from './content-store.js';
import { ControlMessages } from './control-messages.js';
import { executionKind } from './execution-kind.js';
import type { Dispatcher, Job } from './dispatcher.js';
import { receiveGradient } from './gradient-upload.js';
import { findLease, wireId, type LeaseReference } from './lease-id.js';
import { leaseReport } from './lease-report.js';
import type { Lease } from './lease-table.js';
import type { LocalExchange } from './local-exchange.js';
import { readPublished, type ParameterStore } from './parameter-store.js';
import type { WorkerActivity } from './observe/worker-activity.js';
import { ResultUploads } from './result-uploads.js';

type ControlMessage = NonNullable<MessageInitShape<typeof ControlResponseSchema>['message']>;

const HEARTBEAT = { intervalMs: 1_000, timeoutMs: 5_000 };
/** what a worker says of itself is for logs and pages: longer texts are refused */
const MAX_HELLO_TEXT = 256;
/** leases that one worker may hold at once, whatever it asks for */
const MAX_CAPACITY = 8;
/** groups that leases are placed on; the empty one takes everything else */
const POOLS = ['', 'teacher'];

/** A connected worker, for people. */
export interface ConnectedWorker {
  readonly session: string;
  readonly hello: Hello;
}

export interface WorkerServiceOptions {
  /** named in Welcome: workers tell by it and the epoch whether a coordinator has been replaced */
  readonly clusterId: string;
  readonly epoch: bigint;
  /** fires when another coordinator has taken over: the sessions end, and no message counts any more */
  readonly fenceLost: AbortSignal;
  readonly dispatcher: Dispatcher;
  readonly contents: ContentStore;
  readonly exchange: LocalExchange;
  readonly parametersOf: (runId: string) => ParameterStore | undefined;
  readonly logger: Logger;
  /** hears of the sessions */
  readonly activity?: WorkerActivity | undefined;
  /** how often a worker must be heard, and the silence after which it is given up */
  readonly heartbeat?: { readonly intervalMs: number; readonly timeoutMs: number };
  readonly onWorkers: (change: 'joined' | 'left', worker: ConnectedWorker) => void;
}

interface OpenSession {
  readonly send: (message: ControlMessage) => void;
  /** The worker is told to dial again. */
  readonly end: () => void;
  /** The worker has a newer session. */
  readonly replace: () => void;
  /** it does not use the local exchange */
  streamOnly: boolean;
}

/** The coordinator's side of WorkerService: sessions, leases, and the bulk streams. */
export class WorkerSessions {
  readonly #workers = new Map<string, ConnectedWorker>();
  readonly #uploads = new ResultUploads({
    find: (header) => this.#current(header),
    onRefused: (lease, error) => {
      this.options.logger.warn({ lease: lease.id, err: error }, 'a result was refused');
      this.options.dispatcher.failed(lease.id, error);
    },
  });
  readonly #sessions = new Map<string, OpenSession>();

  constructor(readonly options: WorkerServiceOptions) {
    options.fenceLost.addEventListener('abort', () => this.end(), { once: true });
  }

  get workers(): readonly ConnectedWorker[] {
    return [...this.#workers.values()];
  }

  /** Ends every session; workers that are told to reconnect dial again. */
  end(): void {
    for (const { end } of this.#sessions.values()) end();
  }

  handlers(): Handlers<typeof WorkerService> {
    const { contents, dispatcher, logger, parametersOf } = this.options;
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
      pushGradient: (stream) => receiveGradient(stream, { dispatcher, find: (header) => this.#current(header), logger }),
      pushResult: (stream) => this.#uploads.receive(stream),
    };
  }

  /** One worker's session, from Hello to the end of its stream. */
  async #control(stream: Parameters<Handlers<typeof WorkerService>['control']>[0], signal: AbortSignal): Promise<void> {
    const { activity, clusterId, dispatcher, epoch, exchange, heartbeat = HEARTBEAT, logger, onWorkers } = this.options;
    const session = randomUUID();
    const send = (message: ControlMessage): void => {
      if (!stream.destroyed && !stream.writableEnded) stream.write({ message });
    };
    const messages = new ControlMessages(stream);
    this.#requireFence();
    this.#sessions.set(session, {
      send,
      end: () => {
        send({ case: 'shutdown', value: { reason: 'the coordinator stops', reconnect: true } });
        messages.stop();
      },
      replace: () => messages.stop(new Dd2Error('UNAVAILABLE', 'the worker has dialled again')),
      streamOnly: false,
    });
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
        activity?.heard(session);
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
              clusterId,
              localExchange: { folder: exchange.folder, probe: exchange.probe, token: exchange.token },
            },
          });
          activity?.joined(session, worker.hello); // before it gets a lease
          const { capacity, pool, workerId, name } = worker.hello;
          const traits = { capacity: Math.min(MAX_CAPACITY, Math.max(1, capacity)), execution: executionKind(worker.hello), pool, identity: workerId };
          dispatcher.join(session, traits, {
            lease: (lease) => send({ case: 'lease', value: leaseMessage(lease, epoch) }),
            revoke: (lease) => send({ case: 'revoke', value: { leaseId: wireId(lease) } }),
            forget: ({ contents = [], runId }) => send({ case: 'forget', value: { contentIds: [...contents], runIds: runId === undefined ? [] : [runId] } }),
            putAside: (ms, error) => logger.warn({ worker: name, err: error }, `the worker keeps failing: it gets no lease for ${ms / 1000} s`),
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
      this.#sessions.delete(session);
      this.#workers.delete(session);
      dispatcher.leave(session);
      activity?.left(session);
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
        dispatcher.drain(session, this.#current({ leaseId: message.value.leaseId, epoch: this.options.epoch }, session)?.id);
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
    if (hello.workerId === '') throw new Dd2Error('PROTOCOL', 'a worker has no id', { field: 'worker_id' });
    if (!POOLS.includes(hello.pool)) throw new Dd2Error('PROTOCOL', `there is no pool "${hello.pool}"`, { field: 'pool', remedy: 'Start it with `--role teacher` or without a role' });
    // A worker dials again when it takes the old connection for lost: whatever is left of it here is.
    for (const other of this.#workers.values()) {
      if (other.hello.workerId !== hello.workerId) continue;
      this.options.dispatcher.leave(other.session);
      this.options.activity?.left(other.session);
      this.#sessions.get(other.session)?.replace();
    }
    const worker = { session, hello };
    this.#workers.set(session, worker);
    return worker;
  }

  /** A result of a lease that is not current (late, foreign, of another epoch) changes nothing; one that does not fit its lease fails it. */
  async #leaseResult(session: string, result: LeaseResult): Promise<void> {
    const { dispatcher, exchange, logger } = this.options;
    const lease = this.#current(result, session);
    if (!lease) return;
    try {
      const report = leaseReport(lease, this.#uploads.complete(lease, result));
      if (lease.job.gradient) {
        if (result.nonFinite) dispatcher.gradientReceived(lease.id, false);
        else if (result.gradientFile !== '') {
          const path = exchange.gradientPath(session, result.gradientFile);
          dispatcher.gradientReceived(lease.id, await lease.job.gradient.reduction.contributeFile(lease.span, path));
        } else if (!result.gradientPushed) throw new Dd2Error('PROTOCOL', 'the lease asks for a gradient, its result has none', { field: 'gradient_pushed' });
      }
      dispatcher.reported(lease.id, report);
    } catch (thrown) {
      if (this.#streamFromNow(session, lease, thrown)) return;
      const error = Dd2Error.from(thrown, 'PROTOCOL');
      logger.warn({ session, lease: result.leaseId, err: error }, 'a result was refused');
      dispatcher.failed(lease.id, error);
    }
  }

  /** A worker of another user leaves files that this process may not read: such a worker streams, and does the lease again. */
  #streamFromNow(session: string, lease: Lease<Job>, thrown: unknown): boolean {
    const open = this.#sessions.get(session);
    if (!open || open.streamOnly || !(thrown instanceof Dd2Error) || thrown.code !== 'UNAVAILABLE') return false;
    this.options.logger.warn({ session, err: thrown }, 'the files of a worker on this machine cannot be read: it will stream');
    open.streamOnly = true;
    open.send({ case: 'streamOnly', value: {} });
    this.options.dispatcher.giveBack(lease.id);
    return true;
  }

  /** @throws {Dd2Error} UNAVAILABLE when another coordinator has taken over: workers dial until they reach that one */
  #requireFence(): void {
    if (this.options.fenceLost.aborted) throw new Dd2Error('UNAVAILABLE', 'another coordinator has taken over');
  }

  /** No message counts any more once another coordinator has taken over. */
  #current(reference: LeaseReference, session?: string): Lease<Job> | undefined {
    const { dispatcher, epoch, fenceLost } = this.options;
    return fenceLost.aborted ? undefined : findLease(dispatcher, epoch, reference, session);
  }
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
    inputs: (job.inputs?.slice(span.from, span.to) ?? []).map((given) => ({ tensors: Object.entries(given).map(([name, assetId]) => ({ name, assetId })) })),
  };
}
