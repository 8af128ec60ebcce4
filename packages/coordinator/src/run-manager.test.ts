import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ContentStore } from './content-store.js';
import { Dispatcher, type Job, type WorkerLink } from './dispatcher.js';
import type { Lease } from './lease-table.js';
import { LocalExchange } from './local-exchange.js';
import type { RunHistory, RunMoment } from './run-history.js';
import { QueueStore } from './queue/index.js';
import { redisInstalled, RedisServer } from './queue/testing/redis-server.js';
import { RunManager, type RunManagerOptions } from './run-manager.js';
import type { Submission } from './submission.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const root = resolve(import.meta.dirname, '../../..');
const specYaml = await readFile(join(root, 'configs/mnist.yaml'), 'utf8');
/** A few tiny updates; nobody computes them, a fake worker answers. */
const overrides = [
  'phases.tune={ updates: 6, batch: 4, microBatches: 2, draws: 1, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.distill.align=1',
  'phases.distill.generatorUpdates=1',
  'phases.distill.guidance.batch=4',
  'phases.distill.generator.batch=4',
  'evaluation.samples=50',
  'evaluation.finalSamples=50',
  'checkpoint.everyUpdates=2',
  'nonFiniteLimit=2',
];
const withoutRegress = specYaml.replace(/ {2}# Optional warm start[\s\S]*?(?= {2}distill:)/, '');
const TOTAL = 6 + 1 + 3 + 1;

let dataDir: string;
let exchange: LocalExchange;
let dispatcher: Dispatcher;
let manager: RunManager;

let store: QueueStore;
let epoch = 0n;
const logger = pino({ level: 'silent' });

let redis: RedisServer;
let test = 0;

/** What a coordinator does when it starts. */
async function open(more: Partial<RunManagerOptions> = {}): Promise<RunManager> {
  epoch += 1n;
  store = await QueueStore.open({ dataDir, redisUrl: redis.url, clusterId: `test-${test}`, epoch, logger });
  const opened = await RunManager.open({ dataDir, dispatcher, contents: new ContentStore(), exchange, epoch, logger, ...more });
  opened.start(store);
  return opened;
}

async function close(): Promise<void> {
  await Promise.all([store.close(), manager.close()]);
}

beforeAll(async () => {
  if (redisInstalled) redis = await RedisServer.start();
});

afterAll(() => redis.kill());

beforeEach(async () => {
  test += 1;
  dataDir = await temporaryFolder();
  exchange = await LocalExchange.open(dataDir, '/no/shared/memory');
  dispatcher = new Dispatcher({ minWorkers: 1, onWaiting: (namespace, what) => manager.waiting(namespace, what) });
  manager = await open();
});

afterEach(async () => {
  dispatcher.leave('fake');
  for (const { identity } of manager.runs) await manager.cancel(identity.runId);
  await close();
  await exchange.close();
});

function submission(more: Partial<Submission> = {}): Submission {
  return { specYaml: withoutRegress, overrides, basePath: join(root, 'configs'), idempotencyKey: '', ...more };
}

const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, bool: Uint8Array };

/** What an evaluation of images that are all alike would return. */
function plainResults({ signature }: Job): Record<string, HostTensor> {
  return Object.fromEntries(
    signature.results.map(({ name, dtype, shape }) => {
      const data = new arrays[dtype](elements(shape));
      if (name === 'count') data.fill(...([dtype === 'int64' ? 50n : 50] as [never]));
      return [name, { dtype, shape, data }];
    }),
  );
}

interface FakeWorkerOptions {
  readonly loss?: (update: number) => number;
  readonly value?: (update: number) => number;
  /** undefined: the lease is done; else what it fails with */
  readonly failure?: (job: Job) => Dd2Error | undefined;
  /** which jobs does it answer at all? */
  readonly answers?: (job: Job) => boolean;
  /** does it answer leases of evaluations? */
  readonly evaluates?: boolean;
}

/** Answers every lease as a worker would that finds the same gradient everywhere. Returns the updates that it was asked for. */
function fakeWorker({ value = () => 1e-3, loss = () => 1, failure = () => undefined, evaluates = true, answers = () => true }: FakeWorkerOptions = {}): number[] {
  const updates: number[] = [];
  const answer = (lease: Lease<Job>): void => {
    const { job, span } = lease;
    const indices = Array.from({ length: span.to - span.from }, (_, i) => span.from + i);
    if (!answers(job)) return;
    const error = failure(job);
    if (error) return dispatcher.failed(lease.id, error);
    const report = { finite: true, computeMs: 1, transferMs: 0 };
    if (!job.gradient) {
      if (evaluates) dispatcher.reported(lease.id, { ...report, microBatches: indices.map((index) => ({ index, metrics: {}, results: plainResults(job) })) });
      return;
    }
    updates.push(job.update);
    const { reduction, size } = job.gradient;
    for (let shard = 0, left = size; left > 0; shard++) {
      const floats = Math.min(left, 256 * 1024);
      void reduction.contribute(span, shard, new Uint8Array(new Float32Array(floats).fill(value(job.update)).buffer));
      left -= floats;
    }
    dispatcher.gradientReceived(lease.id, Number.isFinite(value(job.update)));
    dispatcher.reported(lease.id, { ...report, microBatches: indices.map((index) => ({ index, metrics: { loss: loss(job.update) }, results: {} })) });
  };
  const link: WorkerLink = { lease: (lease) => queueMicrotask(() => answer(lease)), revoke: () => undefined, forget: () => undefined, putAside: () => undefined };
  dispatcher.join('fake', { capacity: 1_000, execution: 'cpu with 1 thread', pool: '' }, link);
  return updates;
}

async function until(history: RunHistory, reached: (moment: RunMoment) => boolean): Promise<RunMoment[]> {
  const moments: RunMoment[] = [];
  for await (const moment of history.watch(0, new AbortController().signal)) {
    moments.push(moment);
    if (reached(moment)) break;
  }
  return moments;
}

const ended = (): boolean => false;
const never = new AbortController().signal;

describe.skipIf(!redisInstalled)('RunManager', () => {
  it.each([
    ['an unknown field', { overrides: [...overrides, 'phases.tune.unknown=1'] }, 'INVALID_SPEC'],
    ['text that is no YAML', { specYaml: '{' }, 'INVALID_SPEC'],
    ['assets that are not there', { basePath: '/nowhere' }, 'ASSET_MISSING'],
    ['a sampler that the assets do not allow', { overrides: [...overrides, 'evaluation.multiStep=[4, 16]'] }, 'INVALID_SPEC'],
    ['a key without end', { idempotencyKey: 'k'.repeat(1_000) }, 'INVALID_ARGUMENT'],
    ['too many overrides', { overrides: new Array<string>(1_000).fill('seed=1') }, 'INVALID_ARGUMENT'],
  ])('refuses %s and writes nothing', async (_, more, code) => {
    await expect(manager.submit(submission(more))).rejects.toMatchObject({ code });
    expect(await readdir(dataDir)).toEqual(['exchange']);
    expect(manager.runs).toEqual([]);
  });

  it('knows what it does not know', async () => {
    expect(() => manager.find('none')).toThrow('there is no run "none"');
    await expect(manager.pause('none')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(manager.cancel('none')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(manager.evaluate('none', { samplers: ['one-step'] }, new AbortController().signal).next()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  it('knows which runs need an asset bundle, until they are over', async () => {
    const submitting = manager.submit(submission({ idempotencyKey: 'k' }));
    const folder = join(import.meta.dirname, '../../../assets/mnist');
    const between = manager.betweenSubmissions(() => Promise.resolve(manager.needing(`${folder}/`)));
    const { identity } = await submitting;
    expect(await between).toEqual([identity.runId]);
    expect(manager.needing(join(folder, '..'))).toEqual([]);
    await manager.pause(identity.runId);
    expect(manager.needing(folder)).toEqual([identity.runId]);
    await manager.cancel(identity.runId);
    expect(manager.needing(folder)).toEqual([]);
  });

  it('makes one run of one key, however often and however fast it is submitted', async () => {
    const both = await Promise.all([manager.submit(submission({ idempotencyKey: 'k' })), manager.submit(submission({ idempotencyKey: 'k' }))]);
    expect(both[0]).toBe(both[1]);
    expect(manager.runs).toHaveLength(1);
    await expect(manager.submit(submission({ idempotencyKey: 'k', overrides: [...overrides, 'seed=7'] }))).rejects.toMatchObject({ code: 'RUN_CONFLICT' });
    expect((await manager.submit(submission())).identity.runId).not.toBe(both[0].identity.runId);
  });

  it('advances to an update, is found again with its folder, continues with the same key, and counts each update once', async () => {
    const updates = fakeWorker();
    const first = await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 3 }));
    await until(first, ended);
    expect(first).toMatchObject({ state: 'paused', update: 3 });
    await close();
    manager = await open();
    const found = manager.find(first.identity.runId);
    expect(found).toMatchObject({ state: 'paused', update: 3 });
    const again = await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 5 }));
    expect(again).toBe(found);
    expect((await until(again, ({ kind, message }) => kind === 'paused' && message.includes('5'))).map(({ kind }) => kind)).toContain('resumed');
    expect([...new Set(updates)]).toEqual([0, 1, 2, 3, 4]);
    const lines = (await again.folder.read('metrics.jsonl'))?.trim().split('\n').map((line) => (JSON.parse(line) as { update: number }).update);
    expect(lines).toEqual([0, 1, 2, 3, 4]);
    expect((await readdir(again.folder.file('checkpoints'))).sort()).toEqual(['3', '4', '5']); // keeps three
  });

  it('skips an update whose gradient is not finite, and fails the run after the limit with a typed error', async () => {
    fakeWorker({ value: (update) => (update === 0 || update >= 2 ? NaN : 1e-3) });
    const history = await manager.submit(submission());
    const moments = await until(history, ended);
    expect(history).toMatchObject({ state: 'failed', error: { code: 'NON_FINITE', field: 'phases.tune.optimizer.learningRate' } });
    expect(moments.at(-1)).toMatchObject({ kind: 'failed' });
    const lines = (await history.folder.read('metrics.jsonl'))?.trim().split('\n').map((line) => JSON.parse(line) as { committed: boolean; version: number });
    expect(lines?.map(({ committed }) => committed)).toEqual([false, true, false, false]);
    expect(lines?.map(({ version }) => version)).toEqual([1, 2, 2, 2]);
    const manifest = JSON.parse((await history.folder.read('checkpoints/2/manifest.json')) ?? '{}') as Record<string, unknown>;
    expect(manifest).toMatchObject({ update: 2, skippedUpdates: 1, skippedInARow: 0 });
  });

  it('uses an older checkpoint when the newest is damaged, and says so', async () => {
    fakeWorker();
    const history = await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 4 }));
    await until(history, ended);
    await writeFile(history.folder.file('checkpoints', '4', 'generator.safetensors'), 'x');
    await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 4 }));
    const firstEnd = (await until(history, ({ kind }) => kind === 'paused')).length;
    const moments = await until(history, ({ kind, sequence }) => kind === 'paused' && sequence > firstEnd);
    expect(moments.filter(({ kind }) => kind === 'trouble')).toHaveLength(1);
    expect(moments.find(({ kind }) => kind === 'resumed')).toMatchObject({ update: 2 });
  });

  it('runs one after the other; a queued run can be paused, cancelled and resumed, a cancelled one cannot', async () => {
    const running = await manager.submit(submission({ idempotencyKey: 'a' }));
    const queued = await manager.submit(submission({ idempotencyKey: 'b' }));
    const waiting = await manager.submit(submission({ idempotencyKey: 'c' }));
    await manager.pause(running.identity.runId); // it is being opened: neither queued nor running
    expect((await manager.pause(queued.identity.runId)).state).toBe('paused');
    expect((await manager.cancel(waiting.identity.runId)).state).toBe('cancelled');
    expect((await manager.submit(submission({ idempotencyKey: 'c' }))).state).toBe('cancelled');
    await until(running, ended);
    expect(running.state).toBe('paused');
    expect((await manager.submit(submission({ idempotencyKey: 'b' }))).state).toBe('queued');
    await until(queued, ({ kind, sequence }) => kind === 'phase' && sequence > 2); // computes, for nobody is there
    await manager.cancel(queued.identity.runId);
    await until(queued, ({ kind }) => kind === 'cancelled');
    expect(await readdir(queued.folder.file('checkpoints'))).toEqual([]);
  });

  it('pauses a run before its first update without a checkpoint', async () => {
    const history = await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 0 }));
    await until(history, ended);
    expect(history).toMatchObject({ state: 'paused', update: 0 });
    fakeWorker();
    await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 1 }));
    await until(history, ({ kind, update }) => kind === 'paused' && update === 1);
  });

  it('cancels a run that has just been paused and lets go of what it had opened', async () => {
    fakeWorker();
    const history = await manager.submit(submission({ untilUpdate: 1 }));
    await until(history, ({ kind }) => kind === 'paused');
    expect((await manager.cancel(history.identity.runId)).state).toBe('cancelled');
    expect(await readdir(exchange.folder)).toEqual(['probe']);
  });

  it.each(['pause', 'cancel'] as const)('does not start a run whose job is taken while its %s is being recorded', async (end) => {
    await close();
    let pass = (): void => undefined;
    let gate = Promise.resolve();
    epoch += 1n;
    store = await QueueStore.open({ dataDir, redisUrl: redis.url, clusterId: `test-${test}`, epoch, logger });
    manager = await RunManager.open({ dataDir, dispatcher, contents: new ContentStore(), exchange, epoch, logger, verify: () => gate });
    const history = await manager.submit(submission());
    gate = new Promise((resolvePass) => (pass = resolvePass));
    const asked = manager[end](history.identity.runId);
    manager.start(store);
    await vi.waitFor(async () => expect(await readdir(exchange.folder)).toHaveLength(2), { timeout: 10_000 }); // it is being opened
    pass();
    await asked;
    await vi.waitFor(async () => expect(await readdir(exchange.folder)).toEqual(['probe']), { timeout: 10_000 });
    expect(history.state).toBe(end === 'pause' ? 'paused' : 'cancelled');
    expect((await history.folder.events()).map(({ kind }) => kind)).toEqual(['submitted', history.state]);
  });

  it('takes no runs when it is closed, and gives everything back', async () => {
    fakeWorker();
    const history = await manager.submit(submission({ untilUpdate: 1 }));
    await until(history, ended);
    await manager.close();
    expect((await readdir(exchange.folder)).sort()).toEqual(['probe']);
    await expect(manager.submit(submission())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('refuses an evaluation that asks for too much or for what there is not', async () => {
    const { identity } = await manager.submit(submission());
    await manager.cancel(identity.runId);
    for (const [field, request] of Object.entries({ samples: { samplers: ['one-step'], samples: 4_000_000_000 }, samplers: { samplers: ['two-step'] }, noise_seed: { samplers: ['one-step'], noiseSeed: 2 ** 60 } })) {
      await expect(manager.evaluate(identity.runId, request, new AbortController().signal).next()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field });
    }
  });

  it('takes the run of the highest priority first, of equal ones the one that waits longest', async () => {
    const submitted: RunHistory[] = [];
    for (const [key, priority] of [['first', 0], ['low', -1], ['high', 5], ['same', 5], ['later', 0]] as const) {
      submitted.push(await manager.submit(submission({ idempotencyKey: key, priority, untilUpdate: 1 })));
    }
    fakeWorker();
    for (const history of submitted) await until(history, ended);
    const startedAt = async (history: RunHistory): Promise<string> => (await until(history, ({ kind }) => kind === 'started')).at(-1)?.at ?? '';
    const order = await Promise.all(submitted.map(async (history) => [await startedAt(history), history.identity.runId] as const));
    const [first, low, high, same, later] = submitted.map(({ identity }) => identity.runId);
    expect(order.sort().map(([, runId]) => runId)).toEqual([first, high, same, later, low]);
    await expect(manager.submit(submission({ priority: 5_000 }))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'priority' });
  });

  it('advances as many runs at once as it may, the others when one has ended', async () => {
    await close();
    manager = await open({ maxRuns: 2 });
    const runs: RunHistory[] = [];
    for (const key of ['a', 'b', 'c']) runs.push(await manager.submit(submission({ idempotencyKey: key, untilUpdate: 1 })));
    const [first, second, third] = runs as [RunHistory, RunHistory, RunHistory];
    await until(first, ({ kind }) => kind === 'phase');
    await until(second, ({ kind }) => kind === 'phase');
    expect(runs.map(({ state }) => state)).toEqual(['running', 'running', 'queued']);
    fakeWorker();
    for (const history of runs) await until(history, ended);
    expect(third).toMatchObject({ state: 'paused', update: 1 });
  });

  it('goes on by itself with what a coordinator before it left, in the same order; unless it is told not to', async () => {
    const first = await manager.submit(submission({ idempotencyKey: 'a', untilUpdate: 5 }));
    const second = await manager.submit(submission({ idempotencyKey: 'b', untilUpdate: 1 }));
    await until(first, ({ kind }) => kind === 'phase'); // it runs, and waits for workers
    await close();
    expect(first.state).toBe('queued');
    manager = await open({ resumeRuns: false });
    expect(manager.runs.map(({ state }) => state)).toEqual(['paused', 'paused']);
    await manager.resume(first.identity.runId);
    await manager.resume(second.identity.runId);
    await close();
    manager = await open();
    const updates = fakeWorker({ evaluates: false });
    const found = [first, second].map(({ identity }) => manager.find(identity.runId));
    await until(found[0] as RunHistory, ({ phase }) => phase === 'align');
    expect(updates.slice(0, 6)).toEqual([0, 1, 2, 3, 4, 5]);
    expect((found[1] as RunHistory).state).toBe('queued');
  });

  it('measures the curve and the end beside the updates, keeps the figures, and is done when they are there', async () => {
    fakeWorker();
    const history = await manager.submit(submission());
    const moments = await until(history, ended);
    expect(history).toMatchObject({ state: 'completed', update: TOTAL });
    const evaluations = manager.evaluationsOf(history.identity.runId);
    expect(evaluations.records.map(([id]) => id).sort()).toEqual([`${TOTAL}-final`, '6']);
    expect(evaluations.pending).toEqual([]);
    expect(moments.filter(({ kind }) => kind === 'evaluation').map(({ fidUpdate }) => fidUpdate)).toEqual([6, TOTAL]);
    expect(moments.at(-1)?.kind).toBe('completed');
  });

  it('loses no evaluation when its coordinator ends in the middle, and does not repeat one that is done', async () => {
    fakeWorker({ evaluates: false });
    const history = await manager.submit(submission({ idempotencyKey: 'k' }));
    await until(history, ({ update }) => update === TOTAL);
    await vi.waitFor(() => expect(manager.evaluationsOf(history.identity.runId).pending.map(({ id }) => id)).toEqual(['6']), { timeout: 10_000 });
    await close();
    dispatcher.leave('fake');
    expect(history.state).toBe('queued');
    manager = await open();
    fakeWorker();
    const found = manager.find(history.identity.runId);
    await until(found, ended);
    expect(found.state).toBe('completed');
    const steps = [];
    for await (const step of manager.evaluate(found.identity.runId, { samplers: ['one-step', 'naive'], samples: 50 }, never)) steps.push(step);
    expect(steps.map((step) => ('fid' in step ? 'fid' : step.sampler))).toEqual(['one-step', 'fid', 'naive', 'fid']);
    const again = manager.evaluate(found.identity.runId, { samplers: ['one-step'], samples: 50 }, never);
    dispatcher.leave('fake'); // nobody is there to measure it a second time
    await again.next();
    expect((await again.next()).value).toMatchObject({ sampler: 'one-step', samples: 50, update: TOTAL });
    expect(await readdir(found.folder.file('evaluations'))).not.toContain(expect.stringContaining('request'));
  });

  it.each([['was not told', true], ['was told', false]])('knows of an evaluation whose result is there and whose request is not done, once: it %s', async (_, untold) => {
    fakeWorker();
    const history = await manager.submit(submission());
    await until(history, ended);
    await close();
    dispatcher.leave('fake');
    const id = `${TOTAL}-final`;
    const lines = (await readFile(history.folder.file('events.jsonl'), 'utf8')).trim().split('\n');
    const cut = lines.findIndex((line) => line.includes(`"fidUpdate":${TOTAL}`)) + (untold ? 0 : 1);
    await writeFile(history.folder.file('events.jsonl'), `${lines.slice(0, cut).join('\n')}\n`);
    const request = { id, update: TOTAL, sampler: 'one-step', samples: 50, noiseSeed: 1, purpose: 'final', requestedAt: '2026-01-02T03:04:05.678Z' };
    await history.folder.write(`evaluations/${id}.request.json`, JSON.stringify(request));
    manager = await open();
    const found = manager.find(history.identity.runId);
    await until(found, ({ kind }) => kind === 'completed'); // nobody is there to measure it a second time
    expect(found.events.filter(({ kind }) => kind === 'evaluation').map(({ fidUpdate }) => fidUpdate)).toEqual([6, TOTAL]);
    expect(found.lastFid).toBe(history.lastFid);
    expect(await readdir(found.folder.file('evaluations'))).not.toContain(`${id}.request.json`);
  });

  it('does not measure what a cancelled run had asked for, when a crash came before that was taken back', async () => {
    fakeWorker({ evaluates: false });
    const history = await manager.submit(submission());
    await until(history, ({ update }) => update === TOTAL);
    const { runId } = history.identity;
    await vi.waitFor(() => expect(manager.evaluationsOf(runId).pending).toHaveLength(1), { timeout: 10_000 });
    const request = await history.folder.read('evaluations/6.request.json');
    await manager.cancel(runId);
    await close();
    await history.folder.write('evaluations/6.request.json', request ?? '');
    await history.folder.write('evaluations/asked.request.json', JSON.stringify({ ...(JSON.parse(request ?? '') as object), id: 'asked', purpose: 'asked', requestedAt: new Date().toISOString() }));
    manager = await open();
    expect(manager.evaluationsOf(runId).pending.map(({ id }) => id)).toEqual(['asked']);
    expect(await readdir(history.folder.file('evaluations'))).toEqual(['asked.request.json']);
  });

  it('removes what a coordinator that was killed was writing or removing, of runs that have ended too', async () => {
    fakeWorker();
    const history = await manager.submit(submission());
    await until(history, ended);
    await close();
    const { folder } = history;
    const before = [await readdir(folder.path), await readdir(folder.file('checkpoints')), await readdir(folder.file('evaluations'))];
    await mkdir(folder.file('checkpoints', '4.old-0123456789ab'));
    await mkdir(folder.file('checkpoints', '6.new-0123456789ab'));
    for (const name of ['metrics.jsonl.123-4.tmp', 'evaluations/6.json.123-5.tmp', 'checkpoints/6.new-0123456789ab/generator.safetensors']) await writeFile(folder.file(name), '');
    manager = await open();
    expect([await readdir(folder.path), await readdir(folder.file('checkpoints')), await readdir(folder.file('evaluations'))]).toEqual(before);
  });

  it('asks again for an evaluation whose request was lost in a crash, though later checkpoints are there', async () => {
    fakeWorker({ evaluates: false });
    const history = await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 8 }));
    await until(history, ended);
    await close();
    dispatcher.leave('fake');
    await rm(history.folder.file('evaluations', '6.request.json'));
    manager = await open();
    fakeWorker();
    const found = await manager.resume(history.identity.runId);
    await until(found, ({ kind }) => kind === 'completed');
    expect(manager.evaluationsOf(found.identity.runId).records.map(([id]) => id).sort()).toEqual([`${TOTAL}-final`, '6']);
  });

  it('ends at the best point of the curve when FID does not improve, whatever was done beyond it', async () => {
    fakeWorker(); // every FID is the same: the first is the best
    const history = await manager.submit(submission({ overrides: [...overrides, 'phases.distill.generatorUpdates=5', 'evaluation.everyGeneratorUpdates=1', 'health.patience={ evaluations: 2 }'] }));
    const moments = await until(history, ended);
    const first = 6 + 1 + 3 + 1; // tune, align, a cycle
    expect(history).toMatchObject({ state: 'completed', update: first });
    const { records, best } = manager.evaluationsOf(history.identity.runId);
    expect(records.map(([id]) => id).sort()).toEqual([`${first}-final`, '6', String(first), String(first + 4), String(first + 8)].sort());
    expect(best?.update).toBe(6); // that of the generator before distillation counts for the curve, not for the end
    expect((await readdir(history.folder.file('checkpoints'))).map(Number).every((update) => update <= first)).toBe(true);
    expect((await history.folder.read('metrics.jsonl'))?.trim().split('\n')).toHaveLength(first);
    expect(moments.some(({ kind, message }) => kind === 'health' && message.includes(`ends with update ${first}`))).toBe(true);
  });

  it.each([
    ['the checkpoint that it ends with', (update: number) => update === 11],
    ['every checkpoint from there on', (update: number) => update >= 11],
  ])('computes the best point of the curve again when %s is damaged', async (_, damaged) => {
    fakeWorker({ evaluates: false });
    const more = ['phases.distill.generatorUpdates=5', 'evaluation.everyGeneratorUpdates=1', 'health.patience={ evaluations: 2 }'];
    const history = await manager.submit(submission({ untilUpdate: 21, overrides: [...overrides, ...more] }));
    await until(history, ended);
    await close();
    dispatcher.leave('fake');
    for (const update of (await readdir(history.folder.file('checkpoints'))).map(Number).filter(damaged)) {
      await writeFile(history.folder.file('checkpoints', String(update), 'guidance.safetensors'), 'x'); // evaluations do not look at it
    }
    manager = await open();
    fakeWorker();
    const evaluations = manager.evaluationsOf(history.identity.runId);
    await vi.waitFor(() => expect(evaluations.pending).toEqual([]), { timeout: 20_000 });
    const found = await manager.resume(history.identity.runId);
    await until(found, ({ kind, sequence }) => kind === 'completed' && sequence > 1);
    expect(found.update).toBe(11);
    expect(evaluations.records.map(([id]) => id).sort()).toEqual(['11', '11-final', '15', '19', '6']);
    const manifest = JSON.parse((await found.folder.read('checkpoints/11/manifest.json')) ?? '{}') as { files: Record<string, { sha256: string }> };
    const sha256 = createHash('sha256').update(await readFile(found.folder.file('checkpoints', '11', 'guidance.safetensors'))).digest('hex');
    expect(manifest.files['guidance.safetensors']?.sha256).toBe(sha256);
    expect((await found.folder.read('metrics.jsonl'))?.trim().split('\n')).toHaveLength(11);
  });

  it('aligns anew when the guidance network lags, and remembers that across a pause', async () => {
    fakeWorker({ loss: (update) => (update < 8 ? 1 : 5) });
    const lagging = [...overrides, 'phases.distill.generatorUpdates=2', 'health.realign={ window: 1, factor: 2, updates: 2, limit: 1 }'];
    const history = await manager.submit(submission({ idempotencyKey: 'k', overrides: lagging, untilUpdate: 10 }));
    await until(history, ended);
    expect(history).toMatchObject({ state: 'paused', totalUpdates: 6 + 1 + 8 + 2 });
    await close();
    manager = await open();
    const found = manager.find(history.identity.runId);
    await manager.resume(found.identity.runId);
    await until(found, ({ kind }) => kind === 'completed');
    expect(found.update).toBe(6 + 1 + 8 + 2);
    const phases = (await found.folder.read('metrics.jsonl'))?.trim().split('\n').map((line) => (JSON.parse(line) as { phase: string }).phase);
    expect(phases?.slice(6)).toEqual(['align', 'distill', 'distill', 'align', 'align', ...new Array<string>(6).fill('distill')]);
  });

  it('tries a run again when its failure may have been that of its surroundings, and says so', async () => {
    let failures = 3; // as many as end one attempt
    fakeWorker({ failure: () => (failures-- > 0 ? new Dd2Error('INTERNAL', 'out of memory') : undefined) });
    const history = await manager.submit(submission({ untilUpdate: 1 }));
    const moments = await until(history, ended);
    expect(history.state).toBe('paused');
    expect(moments.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['submitted', 'started', 'queued', 'started', 'paused']));
    expect(moments.find(({ kind }) => kind === 'queued')?.message).toContain('out of memory');
  });

  it('is patient with a run that comes further between its failures', async () => {
    const failing = new Set([1, 2, 3]); // as many failures as attempts, each after another update
    let attempts = 0;
    fakeWorker({
      failure: ({ gradient, update }) => {
        if (!gradient || !failing.has(update)) return undefined;
        if ((attempts += 1) % 3 === 0) failing.delete(update); // three failed leases end an attempt
        return new Dd2Error('INTERNAL', 'out of memory');
      },
    });
    const history = await manager.submit(submission({ untilUpdate: 5, overrides: [...overrides.slice(1), (overrides[0] ?? '').replace('microBatches: 2', 'microBatches: 1'), 'checkpoint.everyUpdates=1'] }));
    await until(history, ended);
    expect(history).toMatchObject({ state: 'paused', update: 5 });
  });

  it('lets an evaluation that waits for workers hold up those of its own run only', async () => {
    fakeWorker({ evaluates: false });
    const stuck = await manager.submit(submission({ idempotencyKey: 'stuck' }));
    await until(stuck, ({ message }) => message === `checkpoint ${TOTAL} is complete`);
    const asked = ['one-step', 'naive', 'teacher', 'multi-step-4', 'multi-step-8', 'reconstruction'].map((sampler) => manager.evaluate(stuck.identity.runId, { samplers: [sampler], samples: 50 }, never).next());
    await Promise.all(asked);
    await manager.pause(stuck.identity.runId);
    await until(stuck, ({ state }) => state === 'paused');
    const stuckJobs = stuck.identity.runId;
    dispatcher.leave('fake');
    fakeWorker({ answers: ({ runId }) => !runId.startsWith(stuckJobs) });
    const other = await manager.submit(submission({ idempotencyKey: 'other' }));
    await until(other, ended);
    expect(other.state).toBe('completed');
  });

  it('gives an evaluation up when its checkpoint is torn, says so, and completes the run', async () => {
    fakeWorker({ evaluates: false });
    const history = await manager.submit(submission());
    const evaluations = manager.evaluationsOf(history.identity.runId);
    await vi.waitFor(() => expect(evaluations.pending.map(({ id }) => id)).toEqual(['6']), { timeout: 10_000 });
    await close();
    dispatcher.leave('fake');
    await writeFile(history.folder.file('checkpoints', '6', 'generator_ema.safetensors'), 'x');
    manager = await open();
    fakeWorker();
    const found = manager.find(history.identity.runId);
    const moments = await until(found, ended);
    expect(found.state).toBe('completed');
    expect(moments.find(({ kind, message }) => kind === 'trouble' && message.includes('evaluation at update 6'))).toBeDefined();
    expect(manager.evaluationsOf(found.identity.runId).find('6')?.failed?.code).toBe('CHECKPOINT_CORRUPT');
  });

  it('has a limit of open runs', async () => {
    await close();
    manager = await open({ maxOpenRuns: 1 });
    const only = await manager.submit(submission({ idempotencyKey: 'k' }));
    await expect(manager.submit(submission())).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    expect(await manager.submit(submission({ idempotencyKey: 'k' }))).toBe(only);
    await manager.cancel(only.identity.runId);
    await until(only, ended);
    await manager.submit(submission());
  });

  it('writes nothing more when another coordinator has taken over', async () => {
    await close();
    const fenced = new Dd2Error('FENCED', 'another coordinator works here now');
    let stale = false;
    manager = await open({ verify: () => (stale ? Promise.reject(fenced) : Promise.resolve()) });
    fakeWorker({ evaluates: false });
    const history = await manager.submit(submission());
    await until(history, ({ kind }) => kind === 'phase');
    stale = true;
    manager.abandon(fenced);
    await close();
    const [events, metrics] = [await history.folder.read('events.jsonl'), await history.folder.read('metrics.jsonl')];
    await expect(history.record('checkpoint', 'too late', {})).rejects.toMatchObject({ code: 'FENCED' });
    expect(await history.folder.read('events.jsonl')).toBe(events);
    expect(await history.folder.read('metrics.jsonl')).toBe(metrics);
    expect(events?.trim().split('\n').at(-1)).toContain('"state":"running"');
    stale = false;
  });

  it('skips folders that are no runs', async () => {
    fakeWorker();
    const history = await manager.submit(submission({ untilUpdate: 1 }));
    await until(history, ended);
    await writeFile(history.folder.file('spec.yaml'), 'nonsense: true');
    await close();
    manager = await open();
    expect(manager.runs).toEqual([]);
    expect(TOTAL).toBe(history.totalUpdates);
  });
});
