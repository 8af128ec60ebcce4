import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContentStore } from './content-store.js';
import { Dispatcher, type Job, type WorkerLink } from './dispatcher.js';
import type { Lease } from './lease-table.js';
import { LocalExchange } from './local-exchange.js';
import type { RunHistory, RunMoment } from './run-history.js';
import { RunManager, type Submission } from './run-manager.js';
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

async function open(): Promise<RunManager> {
  return RunManager.open({ dataDir, dispatcher, contents: new ContentStore(), exchange, logger: pino({ level: 'silent' }) });
}

beforeEach(async () => {
  dataDir = await temporaryFolder();
  exchange = await LocalExchange.open(dataDir, '/no/shared/memory');
  dispatcher = new Dispatcher();
  manager = await open();
});

afterEach(async () => {
  dispatcher.leave('fake');
  for (const { identity } of manager.runs) await manager.cancel(identity.runId);
  await manager.close();
  await exchange.close();
});

function submission(more: Partial<Submission> = {}): Submission {
  return { specYaml: withoutRegress, overrides, basePath: join(root, 'configs'), idempotencyKey: '', ...more };
}

/** Answers every lease as a worker would that finds the same gradient everywhere. Returns the updates that it was asked for. */
function fakeWorker(value: (update: number) => number = () => 1e-3): number[] {
  const updates: number[] = [];
  const answer = (lease: Lease<Job>): void => {
    const { job, span } = lease;
    const indices = Array.from({ length: span.to - span.from }, (_, i) => span.from + i);
    if (!job.gradient) return; // an evaluation waits
    updates.push(job.update);
    const { reduction, size } = job.gradient;
    for (let shard = 0, left = size; left > 0; shard++) {
      const floats = Math.min(left, 256 * 1024);
      reduction.contribute(span, shard, new Uint8Array(new Float32Array(floats).fill(value(job.update)).buffer));
      left -= floats;
    }
    dispatcher.gradientReceived(lease.id);
    dispatcher.reported(lease.id, { microBatches: indices.map((index) => ({ index, metrics: { loss: 1 }, results: {} })), computeMs: 1, transferMs: 0 });
  };
  const link: WorkerLink = { lease: (lease) => queueMicrotask(() => answer(lease)), revoke: () => undefined };
  dispatcher.join('fake', 1_000, 'cpu with 1 thread', link);
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

describe('RunManager', () => {
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
    await expect(manager.stop('none')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(manager.cancel('none')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(manager.evaluate('none', { samplers: ['one-step'] }, new AbortController().signal).next()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
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
    expect(first).toMatchObject({ state: 'stopped', update: 3 });
    await manager.close();
    manager = await open();
    const found = manager.find(first.identity.runId);
    expect(found).toMatchObject({ state: 'stopped', update: 3 });
    const again = await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 5 }));
    expect(again).toBe(found);
    expect((await until(again, ({ kind, message }) => kind === 'stopped' && message.includes('5'))).map(({ kind }) => kind)).toContain('resumed');
    expect([...new Set(updates)]).toEqual([0, 1, 2, 3, 4]);
    const lines = (await again.folder.read('metrics.jsonl'))?.trim().split('\n').map((line) => (JSON.parse(line) as { update: number }).update);
    expect(lines).toEqual([0, 1, 2, 3, 4]);
    expect((await readdir(again.folder.file('checkpoints'))).sort()).toEqual(['3', '4', '5']); // keeps three
  });

  it('skips an update whose gradient is not finite, and fails the run after the limit with a typed error', async () => {
    fakeWorker((update) => (update === 0 || update >= 2 ? NaN : 1e-3));
    const history = await manager.submit(submission());
    const moments = await until(history, ended);
    expect(history).toMatchObject({ state: 'failed', error: { code: 'NON_FINITE', field: 'phases.tune.optimizer.learningRate' } });
    expect(moments.at(-1)).toMatchObject({ kind: 'failed' });
    const lines = (await history.folder.read('metrics.jsonl'))?.trim().split('\n').map((line) => JSON.parse(line) as { committed: boolean; version: number });
    expect(lines?.map(({ committed }) => committed)).toEqual([false, true, false]);
    expect(lines?.map(({ version }) => version)).toEqual([1, 2, 2]);
    const manifest = JSON.parse((await history.folder.read('checkpoints/2/manifest.json')) ?? '{}') as Record<string, unknown>;
    expect(manifest).toMatchObject({ update: 2, skippedUpdates: 1, skippedInARow: 0 });
  });

  it('uses an older checkpoint when the newest is damaged, and says so', async () => {
    fakeWorker();
    const history = await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 4 }));
    await until(history, ended);
    await writeFile(history.folder.file('checkpoints', '4', 'generator.safetensors'), 'x');
    await manager.submit(submission({ idempotencyKey: 'k', untilUpdate: 4 }));
    const firstEnd = (await until(history, ({ kind }) => kind === 'stopped')).length;
    const moments = await until(history, ({ kind, sequence }) => kind === 'stopped' && sequence > firstEnd);
    expect(moments.filter(({ kind }) => kind === 'trouble')).toHaveLength(1);
    expect(moments.find(({ kind }) => kind === 'resumed')).toMatchObject({ update: 2 });
  });

  it('runs one after the other; a queued run can be stopped, cancelled and continued, a cancelled one cannot', async () => {
    const running = await manager.submit(submission({ idempotencyKey: 'a' }));
    const queued = await manager.submit(submission({ idempotencyKey: 'b' }));
    const waiting = await manager.submit(submission({ idempotencyKey: 'c' }));
    await manager.stop(running.identity.runId); // it is being opened: neither queued nor running
    expect((await manager.stop(queued.identity.runId)).state).toBe('stopped');
    expect((await manager.cancel(waiting.identity.runId)).state).toBe('cancelled');
    expect((await manager.submit(submission({ idempotencyKey: 'c' }))).state).toBe('cancelled');
    await until(running, ended);
    expect(running.state).toBe('stopped');
    expect((await manager.submit(submission({ idempotencyKey: 'b' }))).state).toBe('queued');
    await until(queued, ({ kind, sequence }) => kind === 'phase' && sequence > 2); // computes, for nobody is there
    await manager.cancel(queued.identity.runId);
    await until(queued, ({ kind }) => kind === 'cancelled');
    expect(await readdir(queued.folder.file('checkpoints'))).toEqual([]);
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

  it('skips folders that are no runs', async () => {
    fakeWorker();
    const history = await manager.submit(submission({ untilUpdate: 1 }));
    await until(history, ended);
    await writeFile(history.folder.file('spec.yaml'), 'nonsense: true');
    const reopened = await open();
    expect(reopened.runs).toEqual([]);
    expect(TOTAL).toBe(history.totalUpdates);
  });
});
