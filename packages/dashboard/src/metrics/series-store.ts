import { computed, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import type { Axis } from '../charts/axis.js';
import type { Zoom } from '../charts/chart-series.js';
import { memoryOf } from '../charts/smoothing.js';
import { rangeToLoad } from './series-columns.js';
import { SeriesLayer, type LoadedSeries, type SeriesAnswer, type SeriesRequest } from './series-layer.js';

export interface SeriesRun {
  readonly runId: string;
  /** whether it is being advanced, so that there is more to come */
  readonly live: boolean;
}

/** What the charts show. */
export interface SeriesView {
  readonly axis: Axis;
  readonly logX: boolean;
  readonly zoom: Zoom | undefined;
}

/** What the store needs of the browser. */
export interface StoreSurroundings {
  readonly ask: (runId: string, request: SeriesRequest, signal: AbortSignal) => Promise<SeriesAnswer>;
  readonly setTimer: (run: () => void, delayMs: number) => () => void;
  readonly isHidden: () => boolean;
  /** Tells when somebody looks at the page again. Returns what stops it. */
  readonly onShown: (listener: () => void) => () => void;
  readonly now: () => number;
}

/** Times between two looks for what is new. Nothing on a chart moves by a pixel within the time that a bucket takes to fill. */
const soonestMs = 2_000;
const latestMs = 15_000;
/** Zooming and dragging ask for something new with every move: not more often than this. */
const gapMs = 80;
/** Smoothing that a zoomed view starts from exactly; what is stronger takes its start from the overview. */
const exactSmoothing = 0.99;

/** A series with a point for every update, loaded with any other: it says how far the axis goes. */
const everyUpdate = 'update.workers';

interface RunState {
  readonly whole: SeriesLayer;
  readonly part: SeriesLayer;
  readonly available: Signal<ReadonlyMap<string, number>>;
  readonly problem: Signal<Error | undefined>;
  readonly pending: Signal<number>;
  live: boolean;
  stopPolling: (() => void) | undefined;
  /** updates that the metrics reached, and when */
  seen: { readonly updates: number; readonly at: number } | undefined;
}

/**
 * The series behind the charts of one or more runs: an overview of all of the axis, and what is zoomed at full resolution. Loads only
 * what charts on screen want, all of it in one request for each run, and keeps it up to date while a run is live and the page is seen.
 */
export class SeriesStore {
  readonly #surroundings: StoreSurroundings;
  readonly #runs = signal<ReadonlyMap<string, RunState>>(new Map());
  readonly #shown = new Map<string, readonly string[]>();
  readonly #stopWatching: () => void;
  readonly #axis: Signal<Axis>;
  #view: SeriesView;
  #buckets = 480;
  #stopTimer: (() => void) | undefined;
  #askedAt = -Infinity;

  constructor(view: SeriesView, surroundings: StoreSurroundings) {
    this.#view = view;
    this.#axis = signal(view.axis);
    this.#surroundings = surroundings;
    this.#stopWatching = surroundings.onShown(() => {
      for (const [runId, run] of this.#runs.peek()) if (run.live) this.#poll(runId, run, 0);
    });
  }

  /** Names of the series that any of the runs has, with their points; empty before the first answer. */
  readonly available: ReadonlySignal<ReadonlyMap<string, number>> = computed(() => {
    const all = new Map<string, number>();
    for (const run of this.#runs.value.values()) for (const [name, points] of run.available.value) all.set(name, Math.max(points, all.get(name) ?? 0));
    return all;
  });

  /** From the first to the last place of all that is loaded, on the axis of the view. */
  readonly extent: ReadonlySignal<Zoom | undefined> = computed(() => {
    let from = Infinity;
    let to = -Infinity;
    for (const { whole } of this.#runs.value.values()) {
      const extent = whole.extent.value;
      if (extent?.axis !== this.#axis.value) continue;
      from = Math.min(from, extent.from);
      to = Math.max(to, extent.to);
    }
    return from <= to ? [from, to] : undefined;
  });

  /** Whether something is being loaded that charts wait for. */
  readonly busy: ReadonlySignal<boolean> = computed(() => [...this.#runs.value.values()].some(({ pending }) => pending.value > 0));

  /** Runs whose series could not be loaded, and why. */
  readonly problems: ReadonlySignal<ReadonlyMap<string, Error>> = computed(() => {
    const problems = new Map<string, Error>();
    for (const [runId, { problem }] of this.#runs.value) if (problem.value) problems.set(runId, problem.value);
    return problems;
  });

  /** The overview of a series; undefined while it is not loaded, or the run is not one of the view's. */
  whole(runId: string, name: string): LoadedSeries | undefined {
    return this.#runs.value.get(runId)?.whole.series(name).value;
  }

  /** The part that is, or was, zoomed. */
  part(runId: string, name: string): LoadedSeries | undefined {
    return this.#runs.value.get(runId)?.part.series(name).value;
  }

  setRuns(runs: readonly SeriesRun[]): void {
    const old = this.#runs.peek();
    const next = new Map(runs.map(({ runId }) => [runId, old.get(runId) ?? this.#open(runId)]));
    for (const [runId, run] of old) if (!next.has(runId)) close(run);
    const isOther = old.size !== next.size || [...next.keys()].some((runId) => !old.has(runId));
    if (isOther) {
      this.#runs.value = next;
      this.#loadSoon();
    }
    for (const { runId, live } of runs) {
      const run = next.get(runId);
      if (!run || run.live === live) continue;
      run.live = live;
      // Once more when it has ended: the last updates are not there yet.
      this.#poll(runId, run, live ? soonestMs : 0);
    }
  }

  setView(view: SeriesView): void {
    this.#view = view;
    this.#axis.value = view.axis;
    this.#loadSoon();
  }

  /** Buckets follow from the width of the charts, in coarse steps, so that a window that is resized does not load everything anew. */
  setWidth(pixels: number): void {
    const wanted = pixels * 1.25;
    const buckets = [320, 480, 640, 960, 1280, 1920].find((step) => step >= wanted) ?? 2560;
    if (buckets === this.#buckets) return;
    this.#buckets = buckets;
    this.#loadSoon();
  }

  /** A chart is on screen, and wants these series. */
  show(chart: string, names: readonly string[]): void {
    this.#shown.set(chart, names);
    this.#loadSoon();
  }

  /** A chart has left the screen; what it has stays. */
  hide(chart: string): void {
    this.#shown.delete(chart);
  }

  retry(): void {
    for (const { problem } of this.#runs.peek().values()) problem.value = undefined;
    this.#loadSoon();
  }

  close(): void {
    this.#stopTimer?.();
    this.#stopWatching();
    for (const run of this.#runs.peek().values()) close(run);
  }

  #open(runId: string): RunState {
    const available = signal<ReadonlyMap<string, number>>(new Map());
    const ask = (request: SeriesRequest, abort: AbortSignal): Promise<SeriesAnswer> => this.#surroundings.ask(runId, request, abort);
    const onAnswer = (answer: SeriesAnswer): void => {
      const next = new Map(answer.available.map(({ name, points }) => [name, points]));
      available.value = next;
      run.seen = { updates: answer.updates, at: this.#surroundings.now() };
    };
    const run: RunState = {
      whole: new SeriesLayer(ask, onAnswer),
      part: new SeriesLayer(ask, onAnswer),
      available,
      problem: signal<Error | undefined>(undefined),
      pending: signal(0),
      live: false,
      stopPolling: undefined,
      seen: undefined,
    };
    return run;
  }

  #names(): readonly string[] {
    const names = new Set([...this.#shown.values()].flat());
    return names.size === 0 ? [] : [everyUpdate, ...[...names].filter((name) => name !== everyUpdate)];
  }

  #loadSoon(): void {
    if (this.#stopTimer) return;
    const wait = Math.max(0, this.#askedAt + gapMs - this.#surroundings.now());
    this.#stopTimer = this.#surroundings.setTimer(() => {
      this.#stopTimer = undefined;
      this.#askedAt = this.#surroundings.now();
      const names = this.#names();
      if (names.length === 0) return;
      for (const run of this.#runs.peek().values()) void this.#load(run, names);
    }, wait);
  }

  async #load(run: RunState, names: readonly string[]): Promise<void> {
    const { axis, logX, zoom } = this.#view;
    const buckets = this.#buckets;
    run.pending.value += 1;
    try {
      await run.whole.want({ axis, logX, buckets, range: undefined }, names);
      if (zoom && this.#view.zoom === zoom && this.#view.axis === axis) {
        const range = rangeToLoad(zoom, memoryOf(exactSmoothing), densest(run, names));
        const [from, to] = zoom;
        await run.part.want({ axis, logX, buckets: Math.ceil((buckets * (range[1] - range[0])) / (to - from)), range }, names);
      }
      run.problem.value = undefined;
    } catch (cause) {
      run.problem.value = cause instanceof Error ? cause : new Error(String(cause));
    } finally {
      run.pending.value -= 1;
    }
  }

  /** Looks for what is new after a time, and again and again while the run is live. A page that nobody sees waits until it is seen. */
  #poll(runId: string, run: RunState, delayMs: number): void {
    run.stopPolling?.();
    run.stopPolling = this.#surroundings.setTimer(() => {
      run.stopPolling = undefined;
      if (this.#surroundings.isHidden()) return;
      void this.#continue(run).then((nextMs) => {
        if (run.live && this.#runs.peek().get(runId) === run && !run.stopPolling) this.#poll(runId, run, nextMs);
      });
    }, delayMs);
  }

  /** @returns when to look again, in milliseconds from now */
  async #continue(run: RunState): Promise<number> {
    const names = this.#names();
    if (names.length === 0 || run.pending.peek() > 0) return soonestMs;
    const before = run.seen;
    const control = new AbortController();
    try {
      await run.whole.continue(control.signal);
      if (this.#view.zoom && run.part.scope?.range) await run.part.continue(control.signal);
      run.problem.value = undefined;
    } catch (cause) {
      run.problem.value = cause instanceof Error ? cause : new Error(String(cause));
      return latestMs;
    }
    const after = run.seen;
    if (!before || !after || after.updates <= before.updates || after.at <= before.at) return soonestMs;
    const updatesPerMs = (after.updates - before.updates) / (after.at - before.at);
    const updatesPerBucket = after.updates / this.#buckets;
    return Math.min(latestMs, Math.max(soonestMs, updatesPerBucket / updatesPerMs));
  }
}

/** The overview with most values. The others start from fewer of them: their own would make the range long. */
function densest(run: RunState, names: readonly string[]): LoadedSeries['columns'] | undefined {
  let best: LoadedSeries['columns'] | undefined;
  let most = 0;
  for (const name of names) {
    const columns = run.whole.series(name).peek()?.columns;
    const points = run.available.peek().get(name) ?? 0;
    if (columns && columns.x.length > 0 && (!best || points > most)) {
      best = columns;
      most = points;
    }
  }
  return best;
}

function close(run: RunState): void {
  run.stopPolling?.();
  run.whole.close();
  run.part.close();
}
