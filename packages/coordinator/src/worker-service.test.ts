import { randomUUID } from 'node:crypto';
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { createClient, createServer, fromStatus, PROTOCOL_VERSION, receiveBytes, sendBulk, toNamedTensors, WorkerService, type ControlRequestSchema, type ControlResponse, type Forget, type Lease, type MessageInitShape, type NamedTensor, type Welcome } from '@dd2/proto';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { SHARD_BYTES, SHARD_FLOATS } from './aggregator.js';
import { ContentStore } from './content-store.js';
import { Dispatcher, type Job, type JobOutcome } from './dispatcher.js';
import { LocalExchange } from './local-exchange.js';
import { ParameterStore, writeFlat } from './parameter-store.js';
import { temporaryFolder } from './testing/temporary-folder.js';
import { WorkerSessions } from './worker-service.js';

const SIZE = SHARD_FLOATS + 10;
const EPOCH = 5n;
const EXECUTION = 'cpu with 1 thread';
interface Report {
  readonly microBatches: { readonly index: number; readonly metrics: Record<string, number>; readonly results: NamedTensor[] }[];
  readonly computeMs: number;
  readonly gradientPushed: boolean;
  readonly gradientFile: string;
  readonly nonFinite: boolean;
}
/** where the worker that holds the lease writes gradients: the session's id ends the lease's */
const gradientOf = ({ leaseId }: Lease): string => `${leaseId.replace(/^\d+-/, '')}.gradient`;
type Message = NonNullable<MessageInitShape<typeof ControlRequestSchema>['message']>;

let address: string;
let dispatcher: Dispatcher;
let exchange: LocalExchange;
let sessions: WorkerSessions;
let contents: ContentStore;
let parameters: ParameterStore;
let close: () => Promise<void>;
/** worker changes, as the coordinator hears of them: how many workers there are then */
let changes: string[];
let fence: AbortController;

beforeEach(async () => {
  const dataDir = await temporaryFolder();
  exchange = await LocalExchange.open(dataDir, '/no/shared/memory');
  parameters = new ParameterStore(join(exchange.folder, 'run.1'));
  await parameters.open();
  dispatcher = new Dispatcher();
  contents = new ContentStore();
  changes = [];
  fence = new AbortController();
  sessions = new WorkerSessions({
    clusterId: 'cluster',
    epoch: EPOCH,
    fenceLost: fence.signal,
    dispatcher,
    contents,
    exchange,
    parametersOf: (namespace) => (namespace === 'run.1' ? parameters : undefined),
    logger: pino({ level: 'silent' }),
    heartbeat: { intervalMs: 20, timeoutMs: 400 },
    onWorkers: (change) => changes.push(`${change} ${dispatcher.workerCount}`),
  });
  const server = createServer();
  server.add(WorkerService, sessions.handlers());
  address = `127.0.0.1:${await server.listen('127.0.0.1:0')}`;
  close = async () => {
    sessions.end();
    await server.close(50);
    await exchange.close();
  };
});

afterEach(() => close());

/** A worker that says and does what it is told to. */
class FakeWorker {
  readonly client = createClient(WorkerService, address);
  readonly stream = this.client.control();
  readonly leases: Lease[] = [];
  readonly revoked: string[] = [];
  readonly forgotten: Forget[] = [];
  streamOnly = false;
  welcome: Welcome | undefined;
  shutdown = false;
  /** how the session ended; undefined for good */
  readonly ended: Promise<Dd2Error | undefined>;
  #beat: NodeJS.Timeout | undefined;
  #wake: (() => void)[] = [];

  constructor() {
    onTestFinished(() => this.close());
    this.ended = this.#read().then(() => undefined, (thrown: unknown) => fromStatus(thrown));
    void this.ended.then(() => this.#changed());
  }

  static async joined(hello: { readonly capacity?: number; readonly intraOpThreads?: number; readonly pool?: string; readonly workerId?: string } = {}): Promise<FakeWorker> {
    const worker = new FakeWorker();
    worker.send({ case: 'hello', value: { workerId: randomUUID(), name: 'fake', provider: 'cpu', intraOpThreads: 1, protocolVersion: PROTOCOL_VERSION, capacity: 1, ...hello } });
    worker.beat();
    await worker.until(() => worker.welcome !== undefined);
    return worker;
  }

  send(message: Message): void {
    if (!this.stream.writableEnded) this.stream.write({ message });
  }

  beat(): void {
    this.#beat = setInterval(() => this.send({ case: 'heartbeat', value: { sentAtMs: 1n, busy: false } }), 50);
  }

  silent(): void {
    clearInterval(this.#beat);
  }

  async lease(index = 0): Promise<Lease> {
    await this.until(() => this.leases.length > index);
    const lease = this.leases[index];
    if (!lease) throw new Error('no lease');
    return lease;
  }

  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  async push(lease: Lease, gradient: Float32Array, more: { readonly epoch?: bigint; readonly leaseId?: string; readonly runId?: string; readonly dtype?: 'float32' | 'float64'; readonly chunkBytes?: number } = {}): Promise<{ readonly accepted: boolean } | Dd2Error> {
    const upload = this.client.pushGradient();
    const { epoch = lease.epoch, leaseId = lease.leaseId, runId = lease.runId, dtype = 'float32', chunkBytes = SHARD_BYTES } = more;
    const bytes = new Uint8Array(gradient.buffer);
    const sent = sendBulk(upload.stream, { runId, leaseId, epoch, name: 'gradient', totalBytes: bytes.byteLength, dtype, shape: [gradient.length] }, [bytes], { chunkBytes });
    await sent.catch(() => undefined);
    return upload.response.catch((thrown: unknown) => fromStatus(thrown));
  }

  report(lease: Lease, more: Partial<Report> = {}): void {
    const microBatches: Report['microBatches'] = Array.from({ length: lease.microBatchCount }, (_, i) => ({ index: lease.firstMicroBatch + i, metrics: { loss: 1 }, results: [] }));
    this.send({ case: 'leaseResult', value: { leaseId: lease.leaseId, epoch: lease.epoch, microBatches, computeMs: 1, transferMs: 1, gradientPushed: lease.expectsGradient, gradientFile: '', ...more } });
  }

  close(): void {
    this.silent();
    this.stream.cancel();
    this.client.close();
  }

  async #read(): Promise<void> {
    for await (const { message } of this.stream) {
      this.#hear(message);
      this.#changed();
    }
  }

  #hear(message: ControlResponse['message']): void {
    if (message.case === 'welcome') this.welcome = message.value;
    if (message.case === 'lease') this.leases.push(message.value);
    if (message.case === 'revoke') this.revoked.push(message.value.leaseId);
    if (message.case === 'forget') this.forgotten.push(message.value);
    if (message.case === 'streamOnly') this.streamOnly = true;
    if (message.case === 'shutdown') this.shutdown = message.value.reconnect;
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** A job whose reduction only writes down what it gets. */
function job(more: Partial<Job> = {}): { readonly job: Job; readonly contributions: string[] } {
  const contributions: string[] = [];
  const reduction: NonNullable<Job['gradient']>['reduction'] = {
    contribute: async ({ from, to }, shard, bytes) => {
      contributions.push(`${from}-${to} shard ${shard} ${bytes.byteLength}`);
      return new Float32Array(bytes.slice().buffer).every(Number.isFinite);
    },
    contributeFile: async ({ from, to }, path) => {
      await access(path).catch((cause: unknown) => {
        throw new Dd2Error('UNAVAILABLE', 'the file cannot be read', { cause });
      });
      contributions.push(`${from}-${to} ${basename(path)}`);
      return true;
    },
    contributeNonFinite: () => void contributions.push('not finite'),
    complete: Promise.resolve(0),
  };
  return {
    contributions,
    job: { runId: 'run.1', programId: 'p', signature: SIGNATURE, execution: EXECUTION, seed: 3, update: 4, firstSample: 0, microBatches: 1, blocks: 'single', priority: 0, parameters: {}, assets: {}, gradient: { reduction, size: SIZE }, ...more },
  };
}

const SIGNATURE: Job['signature'] = { name: 'program', metrics: [{ name: 'loss', value: 'loss' }], results: [] };
const scalar: HostTensor = { dtype: 'float32', shape: [1], data: new Float32Array(1) };
const gradient = Float32Array.from({ length: SIZE }, (_, i) => i);
const whole = [`0-1 shard 0 ${SHARD_BYTES}`, '0-1 shard 1 40'];

describe('a worker session', () => {
  it('leases, takes streamed gradients and results', async () => {
    const worker = await FakeWorker.joined();
    const { job: wanted, contributions } = job();
    const outcome = dispatcher.run(wanted);
    const lease = await worker.lease();
    expect(lease).toMatchObject({ epoch: EPOCH, runId: 'run.1', programId: 'p', seed: 3n, update: 4, firstMicroBatch: 0, microBatchCount: 1, expectsGradient: true });
    worker.report(lease); // may come before the gradient
    expect(await worker.push(lease, gradient)).toMatchObject({ accepted: true });
    expect((await outcome).microBatches).toMatchObject([{ index: 0, metrics: { loss: 1 } }]);
    expect(contributions).toEqual(whole);
    expect(changes).toEqual(['joined 1']);
  });

  it('takes a gradient from the exchange folder, and removes the file with the session', async () => {
    const worker = await FakeWorker.joined();
    const { job: wanted, contributions } = job();
    const outcome = dispatcher.run(wanted);
    const lease = await worker.lease();
    const gradientFile = gradientOf(lease);
    await writeFile(join(exchange.folder, gradientFile), '');
    worker.report(lease, { gradientFile, gradientPushed: false });
    await outcome;
    expect(contributions).toEqual([`0-1 ${gradientFile}`]);
    worker.report(lease, { gradientFile }); // a duplicate finds nothing
    worker.send({ case: 'leaving', value: {} });
    worker.stream.end();
    expect(await worker.ended).toBeUndefined();
    expect((await readdir(exchange.folder)).sort()).toEqual(['probe', 'run.1']);
  });

  it('gets no lease of a job that is pinned to another execution provider or number of threads', async () => {
    const other = await FakeWorker.joined({ intraOpThreads: 2 });
    const outcome = dispatcher.run(job().job);
    const suited = await FakeWorker.joined();
    const lease = await suited.lease();
    suited.report(lease);
    await suited.push(lease, gradient);
    await outcome;
    expect(other.leases).toEqual([]);
  });

  it('serves programs, assets and parameters', async () => {
    const worker = await FakeWorker.joined();
    const id = contents.put([new Uint8Array([1, 2]), new Uint8Array([3])], 'run.1');
    const values = Float32Array.from([1, 2, 3]);
    await parameters.publish('generator', 7, 3, writeFlat(values));
    expect((await receiveBytes(worker.client.getProgram({ programId: id }), { maxBytes: 10 })).data).toEqual(new Uint8Array([1, 2, 3]));
    expect((await receiveBytes(worker.client.getAsset({ assetId: id }), { maxBytes: 10 })).data).toEqual(new Uint8Array([1, 2, 3]));
    const { data } = await receiveBytes(worker.client.getParameters({ runId: 'run.1', source: 'generator', version: 7n }), { maxBytes: 12 });
    expect(new Float32Array(data.buffer)).toEqual(values);
    const gone = [worker.client.getProgram({ programId: 'none' }), worker.client.getParameters({ runId: 'run.1', source: 'generator', version: 6n }), worker.client.getParameters({ runId: 'other', source: 'generator', version: 7n })];
    for (const stream of gone) await expect(receiveBytes(stream, { maxBytes: 100 })).rejects.toMatchObject({ code: 'STALE_LEASE' });
  });

  it('leases what belongs to the teacher pool to its workers', async () => {
    const [teacher, other] = [await FakeWorker.joined({ pool: 'teacher' }), await FakeWorker.joined()];
    const { gradient: _, ...query } = job({ pool: 'teacher' }).job;
    const outcomes = [dispatcher.run(query), dispatcher.run(job().job)];
    teacher.report(await teacher.lease());
    const lease = await other.lease();
    other.report(lease);
    await other.push(lease, gradient);
    await Promise.all(outcomes);
    expect([teacher.leases.length, other.leases.length]).toEqual([1, 1]);
  });

  it('names the cluster, and takes back at once what a leaving worker does not finish', async () => {
    const worker = await FakeWorker.joined({ capacity: 2 });
    expect(worker.welcome).toMatchObject({ clusterId: 'cluster', epoch: EPOCH });
    const { gradient: _, ...wanted } = job({ microBatches: 2 }).job;
    const outcome = dispatcher.run(wanted);
    const [first, second] = [await worker.lease(0), await worker.lease(1)];
    const other = await FakeWorker.joined({ capacity: 2 });
    worker.send({ case: 'leaving', value: { leaseId: second.leaseId } });
    const again = await other.lease();
    expect(again.firstMicroBatch).toBe(first.firstMicroBatch);
    other.report(again);
    worker.report(second);
    expect((await outcome).microBatches).toHaveLength(2);
  });

  it('tells workers what they need not keep', async () => {
    const worker = await FakeWorker.joined();
    const id = contents.put([new Uint8Array([1])], 'run.1');
    dispatcher.forget({ runId: 'run.1', contents: contents.release('run.1') });
    await worker.until(() => worker.forgotten.length > 0);
    expect(worker.forgotten).toMatchObject([{ contentIds: [id], runIds: ['run.1'] }]);
  });

  it('is replaced when its worker dials again, and loses its lease at once', async () => {
    const before = await FakeWorker.joined({ workerId: 'same' });
    const { gradient: _, ...wanted } = job().job;
    const outcome = dispatcher.run(wanted);
    const lost = await before.lease();
    const after = await FakeWorker.joined({ workerId: 'same' });
    const lease = await after.lease();
    expect(await before.ended).toMatchObject({ code: 'UNAVAILABLE' });
    after.report({ ...lease, leaseId: lost.leaseId }); // what the old session computed is not the new one's
    after.report(lease);
    expect((await outcome).totalComputeMs).toBe(1);
    expect(changes).toEqual(['joined 1', 'joined 1', 'left 1']);
  });

  it('streams when its files cannot be read, and does the lease again', async () => {
    const worker = await FakeWorker.joined();
    const { job: wanted, contributions } = job();
    const outcome = dispatcher.run(wanted);
    const lease = await worker.lease();
    worker.report(lease, { gradientFile: gradientOf(lease), gradientPushed: false });
    const again = await worker.lease(1);
    expect(worker.streamOnly).toBe(true);
    await worker.push(again, gradient);
    worker.report(again);
    await outcome;
    expect(contributions).toEqual(whole);
  });

  it('ends when another coordinator has taken over: nothing that comes then counts', async () => {
    const worker = await FakeWorker.joined();
    const { job: wanted, contributions } = job();
    void dispatcher.run(wanted).catch(() => undefined);
    const lease = await worker.lease();
    fence.abort(new Dd2Error('FENCED', 'another one'));
    worker.report(lease);
    expect(await worker.push(lease, gradient)).toMatchObject({ code: 'STALE_LEASE' });
    expect(await worker.ended).toBeUndefined();
    expect(worker.shutdown).toBe(true);
    const late = new FakeWorker();
    expect(await late.ended).toMatchObject({ code: 'UNAVAILABLE' });
    expect([contributions, dispatcher.workerCount]).toEqual([[], 0]);
  });

  it('ends with a word when the coordinator stops', async () => {
    const worker = await FakeWorker.joined();
    sessions.end();
    expect(await worker.ended).toBeUndefined();
    expect(worker.shutdown).toBe(true);
  });
});

describe('a hostile or broken worker', () => {
  it.each<[string, Message, string]>([
    ['does not say Hello', { case: 'heartbeat', value: {} }, 'message'],
    ['speaks another protocol', { case: 'hello', value: { protocolVersion: PROTOCOL_VERSION + 1 } }, 'protocol_version'],
    ['has no id', { case: 'hello', value: { protocolVersion: PROTOCOL_VERSION } }, 'worker_id'],
    ['belongs to a pool that there is not', { case: 'hello', value: { protocolVersion: PROTOCOL_VERSION, workerId: 'w', pool: 'teachers' } }, 'pool'],
    ['says too much', { case: 'hello', value: { protocolVersion: PROTOCOL_VERSION, name: 'x'.repeat(10_000) } }, 'name'],
  ])('that %s gets a typed error', async (_, message, field) => {
    const worker = new FakeWorker();
    worker.send(message);
    expect(await worker.ended).toMatchObject({ code: 'PROTOCOL', field });
    expect(dispatcher.workerCount).toBe(0);
    expect(changes).toEqual([]);
  });

  it('that says Hello twice is sent away', async () => {
    const worker = await FakeWorker.joined();
    worker.send({ case: 'hello', value: { protocolVersion: PROTOCOL_VERSION } });
    expect(await worker.ended).toMatchObject({ code: 'PROTOCOL', field: 'message' });
    expect(sessions.workers).toEqual([]);
  });

  it('that never says Hello is sent away', async () => {
    expect(await new FakeWorker().ended).toMatchObject({ code: 'UNAVAILABLE' });
    expect([sessions.workers, changes]).toEqual([[], []]);
  });

  it('that falls silent is told so and loses its lease to another', async () => {
    const worker = await FakeWorker.joined();
    const { gradient: _, ...wanted } = job().job;
    const outcome = dispatcher.run(wanted);
    await worker.lease();
    worker.silent();
    expect(await worker.ended).toMatchObject({ code: 'UNAVAILABLE' });
    const other = await FakeWorker.joined();
    other.report(await other.lease());
    await outcome;
    expect(changes).toEqual(['joined 1', 'left 0', 'joined 1']);
  });

  it('that vanishes leaves no gradient files behind', async () => {
    const worker = await FakeWorker.joined();
    void dispatcher.run(job().job).catch(() => undefined);
    const lease = await worker.lease();
    await writeFile(join(exchange.folder, gradientOf(lease)), 'x');
    worker.close();
    const other = await FakeWorker.joined();
    await other.lease();
    while ((await readdir(exchange.folder)).length > 2) await new Promise((resolve) => setImmediate(resolve));
    expect(changes).toContain('left 0');
  });

  const bad: [string, (worker: FakeWorker, lease: Lease) => Promise<unknown>][] = [
    ['pushes a gradient of another size', async (worker, lease) => expect(await worker.push(lease, gradient.slice(1))).toMatchObject({ code: 'PROTOCOL', field: 'total_bytes' })],
    ['pushes another type', async (worker, lease) => expect(await worker.push(lease, gradient, { dtype: 'float64' })).toMatchObject({ code: 'PROTOCOL' })],
    ['pushes chunks that are no shards', async (worker, lease) => expect(await worker.push(lease, gradient, { chunkBytes: SHARD_BYTES / 2 })).toMatchObject({ code: 'PROTOCOL', field: 'offset' })],
    ['reports other micro-batches', async (worker, lease) => worker.report(lease, { microBatches: [{ index: 1, metrics: {}, results: [] }] })],
    ['reports none', async (worker, lease) => worker.report(lease, { microBatches: [] })],
    ['reports no gradient', async (worker, lease) => worker.report(lease, { gradientPushed: false })],
    ['reports impossible times', async (worker, lease) => worker.report(lease, { computeMs: NaN })],
    ['reports another metric', async (worker, lease) => worker.report(lease, { microBatches: [{ index: 0, metrics: { loss: 1, lure: 2 }, results: [] }] })],
    ['reports no metric', async (worker, lease) => worker.report(lease, { microBatches: [{ index: 0, metrics: {}, results: [] }] })],
    ['reports a result that nobody declared', async (worker, lease) => worker.report(lease, { microBatches: [{ index: 0, metrics: { loss: 1 }, results: toNamedTensors({ t: scalar }) }] })],
    ['says that its gradient is not finite', async (worker, lease) => worker.report(lease, { gradientPushed: false, nonFinite: true })],
    ['reports a metric that is not finite', async (worker, lease) => {
      expect(await worker.push(lease, gradient)).toMatchObject({ accepted: true });
      worker.report(lease, { microBatches: [{ index: 0, metrics: { loss: NaN }, results: [] }] });
    }],
    ['pushes a gradient that is not finite', async (worker, lease) => {
      worker.report(lease);
      expect(await worker.push(lease, gradient.map((value, i) => (i === SIZE - 1 ? Infinity : value)))).toMatchObject({ accepted: true });
    }],
    ['reports a malformed tensor', async (worker, lease) => worker.report(lease, { microBatches: [{ index: 0, metrics: {}, results: toNamedTensors({ t: scalar }).map((tensor) => ({ ...tensor, shape: [7n] })) }] })],
    ['names a file elsewhere', async (worker, lease) => worker.report(lease, { gradientFile: '../../spec.yaml' })],
    ['names the probe', async (worker, lease) => worker.report(lease, { gradientFile: exchange.probe })],
    ['names a folder', async (worker, lease) => {
      await mkdir(join(exchange.folder, 'victim.gradient'));
      worker.report(lease, { gradientFile: 'victim.gradient' });
    }],
    ['gives up', async (worker, lease) => worker.send({ case: 'leaseFailed', value: { leaseId: lease.leaseId, epoch: lease.epoch } })],
  ];
  it.each(bad)('that %s fails its lease, which another worker does', async (_, misbehave) => {
    const worker = await FakeWorker.joined();
    const outcome: Promise<JobOutcome> = dispatcher.run(job().job);
    const lease = await worker.lease();
    const other = await FakeWorker.joined();
    await misbehave(worker, lease);
    const again = await other.lease();
    expect(again.firstMicroBatch).toBe(lease.firstMicroBatch);
    expect(await other.push(again, gradient)).toMatchObject({ accepted: true });
    other.report(again);
    await outcome;
    expect(await readdir(exchange.folder)).toContain('probe');
    expect(sessions.workers).toHaveLength(2); // it may go on
  });

  it('cannot push to or report a lease of another session, of another epoch, or one that is over', async () => {
    const owner = await FakeWorker.joined();
    const { job: wanted, contributions } = job();
    const outcome = dispatcher.run(wanted);
    const lease = await owner.lease();
    const stranger = await FakeWorker.joined();
    const number = lease.leaseId.split('-')[0] ?? '';
    for (const leaseId of [number, `${number}-${stranger.welcome?.sessionId}`, `${number}e0-x`, '', 'x'.repeat(1_000)]) {
      expect(await stranger.push(lease, gradient, { leaseId })).toMatchObject({ code: 'STALE_LEASE' });
      stranger.report({ ...lease, leaseId });
    }
    expect(await owner.push(lease, gradient, { epoch: EPOCH - 1n })).toMatchObject({ code: 'STALE_LEASE' });
    expect(await owner.push(lease, gradient, { runId: 'run.2' })).toMatchObject({ code: 'STALE_LEASE', field: 'run_id' });
    owner.report({ ...lease, epoch: EPOCH - 1n });
    stranger.report(lease); // knows the id, but does not hold it
    stranger.send({ case: 'leaseFailed', value: { leaseId: lease.leaseId, epoch: lease.epoch } });
    expect(contributions).toEqual([]);

    expect(await owner.push(lease, gradient)).toMatchObject({ accepted: true });
    expect(await owner.push(lease, gradient)).toMatchObject({ accepted: true }); // a duplicate: the tree holds it once
    owner.report(lease);
    owner.report(lease);
    expect((await outcome).totalComputeMs).toBe(1);
    expect(await owner.push(lease, gradient)).toMatchObject({ code: 'STALE_LEASE' });
  });

  it('that always fails ends the job with its own error', async () => {
    const worker = await FakeWorker.joined();
    const failed = expect(dispatcher.run(job().job)).rejects.toMatchObject({ code: 'PROTOCOL', field: 'total_bytes' });
    for (let attempt = 0; attempt < 3; attempt++) expect(await worker.push(await worker.lease(attempt), gradient.slice(1))).toBeInstanceOf(Dd2Error);
    await failed;
  });

  it('that leaves unreadable files again and again fails its leases', async () => {
    const worker = await FakeWorker.joined();
    const outcome = expect(dispatcher.run(job().job)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (let attempt = 0; attempt < 4; attempt++) {
      const lease = await worker.lease(attempt);
      worker.report(lease, { gradientFile: gradientOf(lease), gradientPushed: false });
    }
    await outcome;
  });

  it('that is alone and says twice that its gradient is not finite is believed: the update is not finite, the run goes on', async () => {
    const worker = await FakeWorker.joined();
    const { job: wanted, contributions } = job();
    const outcome = dispatcher.run(wanted);
    worker.report(await worker.lease(0), { gradientPushed: false, nonFinite: true });
    worker.report(await worker.lease(1), { gradientPushed: false, nonFinite: true });
    expect((await outcome).microBatches).toHaveLength(1);
    expect(contributions).toEqual(['not finite']);
  });

  it('that asks for a thousand leases gets a few', async () => {
    const worker = await FakeWorker.joined({ capacity: 1_000 });
    void dispatcher.run(job({ microBatches: 100 }).job).catch(() => undefined);
    await worker.lease(7);
    worker.send({ case: 'leaseFailed', value: { leaseId: 'nonsense', epoch: EPOCH } });
    expect(await worker.push(await worker.lease(7), gradient)).toMatchObject({ accepted: true });
    expect(worker.leases).toHaveLength(8);
  });
});
