import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answerOf, grow, type FakeRun } from './fake-series.js';
import { countOf } from './series-columns.js';
import type { SeriesAnswer, SeriesRequest } from './series-layer.js';
import { SeriesStore, type SeriesView } from './series-store.js';

const updates: SeriesView = { axis: 'updates', logX: false, zoom: undefined };

interface Asked extends SeriesRequest {
  readonly runId: string;
  readonly signal: AbortSignal;
  readonly answer: () => void;
  readonly fail: (error: Error) => void;
}

/** A coordinator that answers when it is told to, or at once. */
function setUp({ manual = false } = {}): { store: SeriesStore; runs: Map<string, FakeRun>; asked: Asked[]; show: () => void; hide: () => void } {
  const runs = new Map<string, FakeRun>();
  const asked: Asked[] = [];
  let hidden = false;
  let tell = (): void => undefined;
  const store = new SeriesStore(updates, {
    ask: (runId, request, signal) =>
      new Promise<SeriesAnswer>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
        const one = { ...request, runId, signal, answer: () => resolve(answerOf(runs.get(runId) ?? (new Map() as FakeRun), request)), fail: reject };
        asked.push(one);
        if (!manual) one.answer();
      }),
    setTimer: (run, delayMs) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    isHidden: () => hidden,
    onShown: (listener) => {
      tell = listener;
      return () => (tell = () => undefined);
    },
    now: () => Date.now(),
  });
  return {
    store,
    runs,
    asked,
    hide: () => (hidden = true),
    show: () => {
      hidden = false;
      tell();
    },
  };
}

function runOf(updateCount: number): FakeRun {
  const run: FakeRun = new Map();
  grow(run, 'update.workers', 1, updateCount + 1);
  grow(run, 'guidance.loss', 1, updateCount + 1);
  return run;
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('SeriesStore', () => {
  it('asks once for each run, for all that charts on screen want', async () => {
    const { store, runs, asked } = setUp();
    runs.set('a', runOf(100)).set('b', runOf(50));
    store.setRuns([{ runId: 'a', live: false }, { runId: 'b', live: false }]);
    store.show('one', ['guidance.loss']);
    store.show('two', ['generator.loss', 'guidance.loss']);
    await vi.advanceTimersByTimeAsync(200);
    expect(asked.map(({ runId, names }) => [runId, names])).toEqual([
      ['a', ['update.workers', 'guidance.loss', 'generator.loss']],
      ['b', ['update.workers', 'guidance.loss', 'generator.loss']],
    ]);
    expect(store.whole('a', 'guidance.loss')?.columns.x).toHaveLength(100);
    expect(store.whole('b', 'generator.loss')?.columns.x).toEqual([]);
    expect(store.available.value.get('guidance.loss')).toBe(100);
    expect(store.extent.value).toEqual([1, 100]);
    store.hide('two');
    store.show('one', ['guidance.loss']);
    await vi.advanceTimersByTimeAsync(200);
    expect(asked).toHaveLength(2);
    store.close();
  });

  it('loads a zoom at full resolution with what smoothing needs before it, and keeps the overview', async () => {
    const { store, runs, asked } = setUp();
    runs.set('a', runOf(20_000));
    store.setRuns([{ runId: 'a', live: false }]);
    store.show('one', ['guidance.loss']);
    await vi.advanceTimersByTimeAsync(200);
    expect(store.whole('a', 'guidance.loss')?.columns.x.length).toBeLessThanOrEqual(480);
    store.setView({ ...updates, zoom: [10_000, 10_300] });
    await vi.advanceTimersByTimeAsync(200);
    const part = store.part('a', 'guidance.loss');
    expect(part?.columns.count.every((count) => count === 1)).toBe(true);
    expect(part?.columns.x[0]).toBeLessThan(10_000 - 300);
    expect(part?.columns.x.at(-1)).toBe(10_306);
    expect(asked).toHaveLength(2);
    store.setView(updates);
    await vi.advanceTimersByTimeAsync(200);
    expect(asked).toHaveLength(2); // the overview is still there
    store.close();
  });

  it('lets the newest zoom win, whatever order the answers come in', async () => {
    const { store, runs, asked } = setUp({ manual: true });
    runs.set('a', runOf(20_000));
    store.setRuns([{ runId: 'a', live: false }]);
    store.show('one', ['guidance.loss']);
    await vi.advanceTimersByTimeAsync(100);
    asked[0]?.answer();
    await vi.advanceTimersByTimeAsync(100);
    store.setView({ ...updates, zoom: [100, 200] });
    await vi.advanceTimersByTimeAsync(100);
    store.setView({ ...updates, zoom: [5000, 5100] });
    await vi.advanceTimersByTimeAsync(100);
    expect(asked).toHaveLength(3);
    expect(asked[1]?.signal.aborted).toBe(true);
    asked[2]?.answer();
    asked[1]?.answer();
    await vi.advanceTimersByTimeAsync(100);
    expect(store.part('a', 'guidance.loss')?.columns.x.at(-1)).toBe(5102);
    expect(store.problems.value.size).toBe(0);
    expect(store.busy.value).toBe(false);
    store.close();
  });

  it('continues a live run with what is new, each value once, not more often than every two seconds', async () => {
    const { store, runs, asked } = setUp();
    const run = runOf(3000);
    runs.set('a', run);
    store.setRuns([{ runId: 'a', live: true }]);
    store.show('one', ['guidance.loss']);
    await vi.advanceTimersByTimeAsync(100);
    for (let round = 0; round < 30; round += 1) {
      const end = 3001 + round * 40;
      grow(run, 'guidance.loss', end, end + 40);
      grow(run, 'update.workers', end, end + 40);
      await vi.advanceTimersByTimeAsync(2000);
    }
    await vi.advanceTimersByTimeAsync(15_000);
    const columns = store.whole('a', 'guidance.loss')?.columns;
    expect(columns && countOf(columns)).toBe(4200);
    expect(columns?.x.at(-1)).toBe(4200);
    expect(columns?.x.every((x, index) => index === 0 || x > (columns.x[index - 1] as number))).toBe(true);
    expect(columns?.x.length).toBeLessThanOrEqual(2 * 480);
    const first = run.get('guidance.loss')?.reduce((sum, { value }) => sum + value, 0) ?? 0;
    expect(columns?.mean.reduce((sum, value, index) => sum + value * (columns.count[index] as number), 0)).toBeCloseTo(first, 6);
    expect(asked.length).toBeLessThanOrEqual(1 + 38 + 2);
    // most of them asked for little
    expect(asked.filter(({ from }) => from !== undefined && from > 2900).length).toBeGreaterThan(20);
    store.close();
  });

  it('continues a series that has a point every few updates, from early in a run on', async () => {
    const { store, runs, asked } = setUp();
    const run = runOf(120);
    const generator: { readonly x: number; readonly value: number }[] = [];
    run.set('generator.loss', generator);
    runs.set('a', run);
    const advance = (from: number, to: number): void => {
      for (let x = from; x < to; x += 1) if (x % 4 === 0) generator.push({ x, value: x });
    };
    advance(1, 121);
    store.setRuns([{ runId: 'a', live: true }]);
    store.show('one', ['guidance.loss', 'generator.loss']);
    await vi.advanceTimersByTimeAsync(100);
    for (let end = 121; end < 321; end += 10) {
      grow(run, 'guidance.loss', end, end + 10);
      grow(run, 'update.workers', end, end + 10);
      advance(end, end + 10);
      await vi.advanceTimersByTimeAsync(2000);
    }
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter(({ from }) => from === undefined)).toHaveLength(1); // never all of it again
    await vi.advanceTimersByTimeAsync(15_000);
    expect(store.whole('a', 'generator.loss')?.columns.x).toEqual(generator.map(({ x }) => x));
    store.close();
  });

  it('loads a series again that wakes up after it had ended', async () => {
    const { store, runs } = setUp();
    const run = runOf(3000);
    grow(run, 'tune.loss', 1, 400);
    runs.set('a', run);
    store.setRuns([{ runId: 'a', live: true }]);
    store.show('one', ['guidance.loss', 'tune.loss', 'generator.loss']);
    await vi.advanceTimersByTimeAsync(2500);
    grow(run, 'update.workers', 3001, 3050);
    grow(run, 'guidance.loss', 3001, 3050);
    grow(run, 'tune.loss', 3001, 3005);
    grow(run, 'generator.loss', 3010, 3012);
    await vi.advanceTimersByTimeAsync(4000);
    for (const [name, count] of [['guidance.loss', 3049], ['tune.loss', 403], ['generator.loss', 2]] as const) {
      const columns = store.whole('a', name)?.columns;
      expect(columns && countOf(columns), name).toBe(count);
    }
    store.close();
  });

  it('rests while nobody looks, looks at once when somebody does, and once more when the run ends', async () => {
    const { store, runs, asked, hide, show } = setUp();
    const run = runOf(100);
    runs.set('a', run);
    store.setRuns([{ runId: 'a', live: true }]);
    store.show('one', ['guidance.loss']);
    await vi.advanceTimersByTimeAsync(2500);
    hide();
    await vi.advanceTimersByTimeAsync(60_000);
    const before = asked.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(before);
    grow(run, 'guidance.loss', 101, 111);
    grow(run, 'update.workers', 101, 111);
    show();
    await vi.advanceTimersByTimeAsync(100);
    expect(store.whole('a', 'guidance.loss')?.columns.x.at(-1)).toBe(110);
    grow(run, 'guidance.loss', 111, 121);
    grow(run, 'update.workers', 111, 121);
    store.setRuns([{ runId: 'a', live: false }]);
    await vi.advanceTimersByTimeAsync(100);
    expect(store.whole('a', 'guidance.loss')?.columns.x.at(-1)).toBe(120);
    const last = asked.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(last);
    store.close();
  });

  it('draws nothing of another axis, and tells what went wrong until it works', async () => {
    const { store, runs, asked } = setUp({ manual: true });
    runs.set('a', runOf(100));
    store.setRuns([{ runId: 'a', live: false }]);
    store.show('one', ['guidance.loss']);
    await vi.advanceTimersByTimeAsync(100);
    asked[0]?.fail(new Error('no connection'));
    await vi.advanceTimersByTimeAsync(0);
    expect(store.problems.value.get('a')?.message).toBe('no connection');
    store.retry();
    await vi.advanceTimersByTimeAsync(100);
    asked[1]?.answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(store.problems.value.size).toBe(0);
    store.setView({ axis: 'wallTime', logX: false, zoom: undefined });
    await vi.advanceTimersByTimeAsync(100);
    expect(asked[2]).toMatchObject({ axis: 'SERIES_AXIS_WALL_TIME' });
    expect(store.extent.value).toBeUndefined();
    expect(store.whole('a', 'guidance.loss')?.scope.axis).toBe('updates');
    store.close();
  });

  it('forgets a run that is taken away, and stops asking for it', async () => {
    const { store, runs, asked } = setUp();
    runs.set('a', runOf(100)).set('b', runOf(100));
    store.setRuns([{ runId: 'a', live: false }, { runId: 'b', live: true }]);
    store.show('one', ['guidance.loss']);
    await vi.advanceTimersByTimeAsync(2500);
    store.setRuns([{ runId: 'a', live: false }]);
    const before = asked.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(before);
    expect(store.whole('b', 'guidance.loss')).toBeUndefined();
    store.close();
  });
});
