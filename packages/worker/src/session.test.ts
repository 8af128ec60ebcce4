import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dd2Error } from '@dd2/core';
import type { Engine, EngineResult, EngineTask } from '@dd2/engine';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WorkerHealth } from './health/worker-health.js';
import { KnownCoordinators } from './known-coordinators.js';
import { LocalCopies, type BulkSource } from './local-copies.js';
import { runSession, type SessionOptions } from './session.js';
import { FakeCoordinator, type Sent } from './testing/fake-coordinator.js';

/** An engine that returns a gradient of three ones, or throws. */
class FakeEngine {
  readonly tasks: EngineTask[] = [];
  readonly dropped: string[] = [];
  failure: Dd2Error | undefined;
  dead = false;
  finite = true;
  wait: Promise<void> = Promise.resolve();

  async execute(task: EngineTask): Promise<EngineResult> {
    this.tasks.push(task);
    await this.wait;
    if (this.failure) throw this.failure;
    const shared = { metrics: task.microBatches.map(() => ({ loss: 1 })), results: task.microBatches.map(() => ({})), computeMs: 1, finite: this.finite };
    if (task.gradientFile === undefined) return { ...shared, gradient: new Float32Array([1, 1, 1]) };
    await writeFile(task.gradientFile, new Float32Array([1, 1, 1])).catch((cause: unknown) => {
      throw new Dd2Error('INTERNAL', 'it cannot be written', { field: task.gradientFile, cause }); // as the real one does
    });
    return shared;
  }

  async loadProgram(): Promise<void> {}

  dropParameters(key: string): void {
    this.dropped.push(key);
  }

  async unloadProgram(): Promise<void> {
    if (this.dead) throw new Dd2Error('UNAVAILABLE', 'the thread has ended');
  }
}

let coordinator: FakeCoordinator;
let engine: FakeEngine;
let abort: AbortController;
let late: AbortController;
let known: KnownCoordinators;
let folder: string;

beforeEach(async () => {
  coordinator = new FakeCoordinator();
  await coordinator.listen();
  engine = new FakeEngine();
  abort = new AbortController();
  late = new AbortController();
  known = new KnownCoordinators();
  folder = await mkdtemp(join(tmpdir(), 'dd2-worker-'));
  await writeFile(join(folder, 'probe'), 'token');
});

afterEach(async () => {
  abort.abort();
  late.abort();
  pullFailure = undefined;
  await coordinator.close();
  await rm(folder, { recursive: true, force: true });
});

/** what a lease's pulls throw, by whether they read from the exchange folder */
let pullFailure: ((exchange: string | undefined) => Dd2Error | undefined) | undefined;

function session(stream = true, more: Partial<SessionOptions> = {}): Promise<{ readonly reconnect: boolean } | Dd2Error> {
  const real = engine as unknown as Engine;
  const copies = Object.assign(new LocalCopies(real), {
    require: async (_: unknown, { exchange }: BulkSource) => {
      const failure = pullFailure?.(exchange);
      if (failure) throw failure;
      return { keys: {}, reads: Promise.resolve() };
    },
  });
  const run = runSession({
    coordinator: coordinator.address,
    connection: {},
    known,
    workerId: 'w',
    name: 'worker',
    provider: 'cpu',
    device: 'processor',
    intraOpThreads: 1,
    role: '',
    stream,
    engine: real,
    copies,
    logger: pino({ level: 'silent' }),
    watch: new WorkerHealth(abort.signal),
    signal: abort.signal,
    late: late.signal,
    ...more,
  });
  return run.catch((thrown: unknown) => Dd2Error.from(thrown));
}

const welcome: Sent = { case: 'welcome', value: { epoch: 1n, heartbeatIntervalMs: 10 } };

function lease(leaseId = '1-s', microBatchCount = 2): Sent {
  return { case: 'lease', value: { leaseId, epoch: 1n, runId: 'run', programId: 'p', seed: 3n, update: 4, firstMicroBatch: 2, microBatchCount, expectsGradient: true } };
}

describe('a session', () => {
  it('says Hello, beats, executes a lease and streams its gradient', async () => {
    const ended = session();
    expect(await coordinator.until('hello')).toMatchObject({ workerId: 'w', name: 'worker', capacity: 1 });
    coordinator.send(welcome);
    await coordinator.until('heartbeat');
    coordinator.send(lease());
    const result = await coordinator.until('leaseResult');
    expect(result).toMatchObject({ leaseId: '1-s', epoch: 1n, gradientPushed: true, gradientFile: '' });
    expect(result.microBatches.map(({ index }) => index)).toEqual([2, 3]);
    expect(engine.tasks).toMatchObject([{ program: 'p', seed: 3, update: 4, microBatches: [{ index: 2 }, { index: 3 }] }]);
    coordinator.send({ case: 'shutdown', value: { reason: 'over', reconnect: true } });
    expect(await ended).toEqual({ reconnect: true });
    expect(coordinator.gradients.map(({ length }) => length)).toEqual([12]);
  });

  it('leaves the gradient in the folder that it shares with the coordinator, and not in one that only looks like it', async () => {
    const ended = session(false);
    await coordinator.until('hello');
    coordinator.send({ case: 'welcome', value: { heartbeatIntervalMs: 1_000, sessionId: 's', localExchange: { folder, probe: 'probe', token: 'token' } } });
    coordinator.send(lease());
    const { gradientFile } = await coordinator.until('leaseResult');
    expect(gradientFile).toBe('s.gradient');
    expect((await readdir(folder)).sort()).toEqual([gradientFile, 'probe'].sort());
    coordinator.heard.splice(0);
    coordinator.send({ case: 'welcome', value: { heartbeatIntervalMs: 1_000, localExchange: { folder, probe: 'probe', token: 'other' } } });
    coordinator.send(lease('2-s'));
    expect((await coordinator.until('leaseResult')).gradientFile).toBe('');
    coordinator.send({ case: 'shutdown', value: { reconnect: false } });
    expect(await ended).toEqual({ reconnect: false });
  });

  it('removes its gradient file when it ends, even of a result that it could not send', async () => {
    let finish = (): void => undefined;
    engine.wait = new Promise((resolve) => (finish = resolve));
    const ended = session(false);
    await coordinator.until('hello');
    coordinator.send({ case: 'welcome', value: { heartbeatIntervalMs: 10, sessionId: 's', localExchange: { folder, probe: 'probe', token: 'token' } } });
    coordinator.send(lease());
    while (engine.tasks.length === 0) await coordinator.until('heartbeat').then(() => new Promise((resolve) => setImmediate(resolve)));
    coordinator.hangUp();
    setImmediate(finish);
    expect(await ended).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await readdir(folder)).toEqual(['probe']);
  });

  it('reports a lease that failed, and a gradient that was refused after the result', async () => {
    engine.failure = new Dd2Error('ASSET_MISSING', 'no such asset', { field: 'labels' });
    const ended = session();
    await coordinator.until('hello');
    coordinator.send(welcome);
    coordinator.send(lease());
    expect(await coordinator.until('leaseFailed')).toMatchObject({ leaseId: '1-s', error: { code: 'ASSET_MISSING', field: 'labels' } });
    engine.failure = undefined;
    coordinator.heard.splice(0);
    coordinator.refusal = new Dd2Error('UNAVAILABLE', 'the stream broke off');
    coordinator.send(lease('2-s'));
    expect(await coordinator.until('leaseFailed')).toMatchObject({ leaseId: '2-s', error: { code: 'UNAVAILABLE' } });
    coordinator.send({ case: 'shutdown', value: { reconnect: false } });
    await ended;
  });

  it('drains when it is aborted: the lease in hand is finished', async () => {
    let finish = (): void => undefined;
    engine.wait = new Promise((resolve) => (finish = resolve));
    const ended = session();
    await coordinator.until('hello');
    coordinator.send(welcome);
    coordinator.send(lease());
    while (engine.tasks.length === 0) await new Promise((resolve) => setImmediate(resolve));
    coordinator.send(lease('2-s'));
    coordinator.send({ case: 'revoke', value: { leaseId: 'none' } });
    abort.abort();
    expect(await coordinator.until('leaving')).toMatchObject({ leaseId: '1-s' });
    coordinator.send(lease('3-s')); // was under way
    expect(coordinator.heard.some(({ case: kind }) => kind === 'leaseResult')).toBe(false);
    finish();
    expect(await coordinator.until('leaseResult')).toMatchObject({ leaseId: '1-s' });
    expect(await ended).toEqual({ reconnect: false });
    expect(engine.tasks).toHaveLength(1);
  });

  it('drains until the gradient that it streams has been taken', async () => {
    let take = (): void => undefined;
    coordinator.taking = new Promise((resolve) => (take = resolve));
    const ended = session();
    await coordinator.until('hello');
    coordinator.send(welcome);
    coordinator.send(lease());
    await coordinator.until('leaseResult');
    abort.abort();
    await coordinator.until('leaving');
    coordinator.heard.splice(0);
    await coordinator.until('heartbeat'); // it is still there
    take();
    expect(await ended).toEqual({ reconnect: false });
    expect(coordinator.gradients).toHaveLength(1);
  });

  it.each([['while it is connected', false], ['after its connection broke', true]])('leaves whatever it has in hand when it drains for too long, %s', async (_, breaks) => {
    engine.wait = new Promise(() => undefined);
    const ended = session();
    await coordinator.until('hello');
    coordinator.send(welcome);
    coordinator.send(lease());
    while (engine.tasks.length === 0) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await coordinator.until('leaving');
    if (breaks) coordinator.hangUp(new Dd2Error('UNAVAILABLE', 'gone'));
    late.abort();
    expect(await ended).toEqual({ reconnect: false });
  });

  it('says that a gradient is not finite instead of sending it', async () => {
    engine.finite = false;
    for (const stream of [true, false]) {
      const ended = session(stream);
      await coordinator.until('hello');
      coordinator.send({ case: 'welcome', value: { heartbeatIntervalMs: 1_000, sessionId: 's', localExchange: { folder, probe: 'probe', token: 'token' } } });
      coordinator.send(lease());
      expect(await coordinator.until('leaseResult')).toMatchObject({ nonFinite: true, gradientPushed: false, gradientFile: '' });
      coordinator.send({ case: 'shutdown', value: { reconnect: true } });
      await ended;
      coordinator.heard.splice(0);
    }
    expect(coordinator.gradients).toEqual([]);
  });

  it.each<[string, () => Promise<void>]>([
    ['it cannot write there', () => rm(folder, { recursive: true })],
    ['it cannot read there', async () => {
      pullFailure = (exchange) => (exchange === undefined ? undefined : new Dd2Error('ASSET_MISSING', 'EACCES', { field: join(exchange, 'run', 'generator-1') }));
    }],
  ])('streams from then on, without failing the lease, when it shares a folder but %s', async (_, breakFolder) => {
    const ended = session(false);
    await coordinator.until('hello');
    coordinator.send({ case: 'welcome', value: { heartbeatIntervalMs: 10, sessionId: 's', localExchange: { folder, probe: 'probe', token: 'token' } } });
    await coordinator.until('heartbeat');
    await breakFolder();
    for (const id of ['1-s', '2-s']) {
      coordinator.heard.splice(0);
      coordinator.send(lease(id));
      expect(await coordinator.until('leaseResult')).toMatchObject({ leaseId: id, gradientPushed: true, gradientFile: '' });
    }
    expect(coordinator.heard.some(({ case: kind }) => kind === 'leaseFailed')).toBe(false);
    expect(coordinator.gradients).toHaveLength(2);
    coordinator.send({ case: 'shutdown', value: { reconnect: false } });
    await ended;
  });

  it('streams when it is told to', async () => {
    const ended = session(false);
    await coordinator.until('hello');
    coordinator.send({ case: 'welcome', value: { heartbeatIntervalMs: 1_000, sessionId: 's', localExchange: { folder, probe: 'probe', token: 'token' } } });
    coordinator.send({ case: 'streamOnly', value: {} });
    coordinator.send(lease());
    expect(await coordinator.until('leaseResult')).toMatchObject({ gradientPushed: true, gradientFile: '' });
    coordinator.send({ case: 'shutdown', value: { reconnect: false } });
    await ended;
  });

  it('forgets what it is told to once the lease in hand is done', async () => {
    let finish = (): void => undefined;
    engine.wait = new Promise((resolve) => (finish = resolve));
    const forgotten: unknown[] = [];
    const copies = Object.assign(new LocalCopies(engine as unknown as Engine), {
      require: async () => ({ keys: {}, reads: Promise.resolve() }),
      forget: async (...what: unknown[]) => void forgotten.push(what, engine.tasks.length),
    });
    const ended = session(true, { copies });
    await coordinator.until('hello');
    coordinator.send(welcome);
    coordinator.send(lease());
    coordinator.send({ case: 'forget', value: { contentIds: ['c'], runIds: ['r'] } });
    coordinator.send(lease('2-s'));
    while (engine.tasks.length === 0) await new Promise((resolve) => setImmediate(resolve));
    coordinator.heard.splice(0);
    await coordinator.until('heartbeat');
    expect(forgotten).toEqual([]);
    finish();
    await coordinator.until('leaseResult');
    while (engine.tasks.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(forgotten).toEqual([[['c'], ['r']], 1]);
    coordinator.send({ case: 'shutdown', value: { reconnect: false } });
    await ended;
  });

  it('refuses a coordinator that has been replaced, and takes one of another cluster', async () => {
    const meet = async (clusterId: string, epoch: bigint): Promise<unknown> => {
      coordinator.heard.splice(0);
      const ended = session();
      await coordinator.until('hello');
      coordinator.send({ case: 'welcome', value: { clusterId, epoch, heartbeatIntervalMs: 10 } });
      coordinator.send({ case: 'shutdown', value: { reconnect: true } });
      return ended;
    };
    expect(await meet('a', 5n)).toEqual({ reconnect: true });
    expect(await meet('a', 5n)).toEqual({ reconnect: true });
    expect(await meet('a', 4n)).toMatchObject({ code: 'UNAVAILABLE', field: 'epoch' });
    expect(await meet('b', 4n)).toEqual({ reconnect: true });
    expect(await meet('a', 6n)).toEqual({ reconnect: true });
    expect(await meet('a', 5n)).toMatchObject({ code: 'UNAVAILABLE', field: 'epoch' });
    expect(engine.tasks).toEqual([]);
  });

  it('breaks when nobody answers its Hello', async () => {
    expect(await session(true, { welcomeMs: 50 })).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('breaks when the coordinator ends it, is not there, or when the engine is gone, without blaming the lease', async () => {
    const first = session();
    await coordinator.until('hello');
    coordinator.hangUp();
    expect(await first).toMatchObject({ code: 'UNAVAILABLE' });

    coordinator.heard.splice(0);
    const second = session();
    await coordinator.until('hello');
    engine.failure = new Dd2Error('UNAVAILABLE', 'the thread has ended');
    engine.dead = true;
    coordinator.send(lease());
    expect(await second).toBeInstanceOf(Dd2Error);
    expect(coordinator.heard.some(({ case: kind }) => kind === 'leaseFailed')).toBe(false);

    await coordinator.close();
    expect(await session()).toMatchObject({ code: 'UNAVAILABLE' });
  });
});
