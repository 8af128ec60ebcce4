import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Dd2Error, parseRunSpec } from '@dd2/core';
import { describe, expect, it, vi } from 'vitest';
import { RunFolder } from './run-folder.js';
import { RunHistory, type RunMoment } from './run-history.js';
import type { UpdateMetrics } from './run-state.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const spec = parseRunSpec(await readFile(join(import.meta.dirname, '../../../configs/mnist.yaml'), 'utf8'));
const identity = { runId: 'run', name: 'mnist', createdAt: '2026-01-01T00:00:00.000Z' };
const forEver = (): AbortSignal => new AbortController().signal;

async function opened(folder?: RunFolder): Promise<RunHistory> {
  const own = folder ?? new RunFolder(await temporaryFolder(), 'run');
  await own.create();
  return RunHistory.open(identity, own, spec, () => 2);
}

function metrics(update: number, more: Partial<UpdateMetrics> = {}): UpdateMetrics {
  const timing = { wallMs: 1, computeMs: 1, transferMs: 0, reduceMs: 0, optimizeMs: 0, publishMs: 0, overhead: 0 };
  return { update, phase: 'tune', network: 'generator', at: 0, generatorUpdates: 0, samples: 8, committed: true, skippedUpdates: 0, skippedInARow: 0, version: 1, learningRate: 1, gradientNorm: 1, losses: { loss: 2 }, workers: 1, timing, ...more };
}

async function collect(watch: AsyncIterable<RunMoment>): Promise<RunMoment[]> {
  const moments: RunMoment[] = [];
  for await (const moment of watch) moments.push(moment);
  return moments;
}

describe('RunHistory', () => {
  it('shows every event once to every watcher, whenever it starts to watch', async () => {
    const history = await opened();
    const recorded: Promise<void>[] = [];
    const watchers: Promise<RunMoment[]>[] = [];
    recorded.push(history.record('started', 'starts', { state: 'running' }));
    for (let i = 0; i < 20; i++) {
      recorded.push(history.record('checkpoint', String(i), {}));
      if (i % 5 === 0) await recorded.at(-1 - (i % 3));
      watchers.push(collect(history.watch(0, forEver())));
      history.progress(metrics(i));
    }
    recorded.push(history.record('completed', 'done', { state: 'completed' }));
    await Promise.all(recorded);
    watchers.push(collect(history.watch(0, forEver())));
    for (const moments of await Promise.all(watchers)) {
      const events = moments.filter(({ kind }) => kind !== 'progress');
      expect(events.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 22 }, (_, i) => i + 1));
      expect(events.at(-1)).toMatchObject({ kind: 'completed', state: 'completed' });
    }
    expect((await collect(history.watch(20, forEver()))).map(({ sequence }) => sequence)).toEqual([21, 22]);
  });

  it('tells a slow watcher the newest progress only, and every event', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const history = await opened();
      await history.record('started', 'starts', { state: 'running' });
      const watch = history.watch(0, forEver());
      expect((await watch.next()).value).toMatchObject({ kind: 'started' });
      const waiting = watch.next(); // listens from here on
      for (let update = 0; update < 10; update++) {
        vi.advanceTimersByTime(1_000);
        history.progress(metrics(update));
      }
      const first = (await waiting).value as RunMoment;
      await history.record('completed', 'done', { state: 'completed' });
      const rest = await collect(watch);
      expect([first, ...rest].map(({ kind }) => kind)).toEqual(['progress', 'completed']);
      expect(first.update).toBe(10);
      expect(first.updatesPerSecond).toBeCloseTo(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('ends a watch when its signal aborts', async () => {
    const history = await opened();
    await history.record('started', 'starts', { state: 'running' });
    const abort = new AbortController();
    const watched = collect(history.watch(0, abort.signal));
    abort.abort();
    await watched;
  });

  it('takes up what the folder holds: a run that a crash interrupted is where it was', async () => {
    const folder = new RunFolder(await temporaryFolder(), 'run');
    const before = await opened(folder);
    await before.record('started', 'starts', { state: 'running' });
    before.progress(metrics(41, { gradientNorm: NaN, losses: { loss: NaN } }));
    await before.record('evaluation', 'FID', { fid: 12.5, fidSamples: 2_000 });
    await before.record('evaluation', 'FID', { fid: 11.5, fidSamples: 5_000 });
    await before.record('checkpoint', 'saved', {});
    await appendFile(folder.file('events.jsonl'), '{"sequence":"nonsense"}\n{"sequence":4,"upd');
    const history = await opened(folder);
    expect(history).toMatchObject({ state: 'running', update: 42, lastFid: 11.5, fidSamples: 5_000 });
    const moments: RunMoment[] = [];
    for await (const moment of history.watch(0, forEver())) if (moments.push(moment) === 4) break;
    expect(moments[1]?.metrics['loss']).toBeNaN();
    expect(moments[3]?.fid).toBeUndefined();
  });

  it('keeps why a run failed until it starts again', async () => {
    const history = await opened();
    await history.record('failed', 'no', { state: 'failed', error: new Dd2Error('NON_FINITE', 'no', { field: 'x', remedy: 'y' }) });
    await history.record('workers', 'worker left', {});
    expect(history.error).toMatchObject({ code: 'NON_FINITE', field: 'x', remedy: 'y' });
    await history.record('started', 'again', { state: 'running' });
    expect(history.error).toBeUndefined();
  });

  it('knows how a run ended even when the disk is full, and says so', async () => {
    const folder = new RunFolder(await temporaryFolder(), 'run');
    const history = await opened(folder);
    await mkdir(folder.file('events.jsonl'));
    await expect(history.record('failed', 'no', { state: 'failed' })).rejects.toThrow('EISDIR');
    expect(history.state).toBe('failed');
    await rm(folder.file('events.jsonl'), { recursive: true });
    await history.record('started', 'again', { state: 'running' });
    expect(history.state).toBe('running');
  });

  it('decides about an event by the state that the run is in when its turn comes', async () => {
    const history = await opened();
    const pause = (): Promise<boolean> => history.recordIf((state) => (state === 'running' ? ['pausing', 'pauses', { state: 'pausing' }] : undefined));
    const made = await Promise.all([pause(), history.record('started', 'starts', { state: 'running' }), pause(), pause(), history.record('completed', 'done', { state: 'completed' }), pause()]);
    expect(made).toEqual([false, undefined, true, false, undefined, false]);
    expect((await history.folder.events()).map(({ kind }) => kind)).toEqual(['started', 'pausing', 'completed']);
  });
});
