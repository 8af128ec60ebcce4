import { batch, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { seriesAxes, type Axis } from '../charts/axis.js';
import type { Zoom } from '../charts/chart-series.js';
import { columnsOf, countOf, mergeTail, type SeriesColumns, type SeriesMessage } from './series-columns.js';

/** What decides about the buckets of a series. */
export interface SeriesScope {
  readonly axis: Axis;
  readonly logX: boolean;
  /** wanted number of buckets */
  readonly buckets: number;
  /** undefined for all of the axis */
  readonly range: Zoom | undefined;
}

export interface SeriesRequest {
  readonly names: readonly string[];
  readonly axis: (typeof seriesAxes)[Axis];
  readonly from?: number;
  readonly to?: number;
  readonly buckets: number;
  readonly logarithmic?: true;
}

/** What the coordinator answers, as far as it is read here. */
export interface SeriesAnswer {
  /** what there is, whatever was asked for */
  readonly available: readonly { readonly name: string; readonly points: number }[];
  readonly series: readonly (SeriesMessage & { readonly name: string })[];
  /** that the metrics reach */
  readonly updates: number;
}

/** Asks for series of one run. @throws {ApiError} */
export type AskSeries = (request: SeriesRequest, signal: AbortSignal) => Promise<SeriesAnswer>;

export interface LoadedSeries {
  readonly scope: SeriesScope;
  readonly columns: SeriesColumns;
}

export interface SeriesExtent {
  readonly axis: Axis;
  readonly from: number;
  readonly to: number;
}

/** As many names as one request may have. */
const namesAtOnce = 64;
/** Buckets of a tail that is new. */
const tailBuckets = 256;
/** Share of the axis at its end: a series whose last point lies there is one that goes on, if only every few updates. */
const tailShare = 0.04;
/** As many as the API gives. */
const mostBuckets = 4000;

/**
 * The series of one run in one scope. What is loaded stays, in its old scope, until what replaces it is there; of requests that
 * overtake each other the newest wins.
 */
export class SeriesLayer {
  readonly #ask: AskSeries;
  readonly #onAnswer: (answer: SeriesAnswer) => void;
  readonly #extent = signal<SeriesExtent | undefined>(undefined);
  readonly #loaded = new Map<string, Signal<LoadedSeries | undefined>>();
  /** points of each series that its columns stand for, by the coordinator's count of the whole run */
  readonly #points = new Map<string, number>();
  #scope: SeriesScope | undefined;
  #wanted: readonly string[] = [];
  #flight: { readonly control: AbortController; readonly names: readonly string[]; readonly done: Promise<void> } | undefined;
  #closed = false;

  constructor(ask: AskSeries, onAnswer: (answer: SeriesAnswer) => void) {
    this.#ask = ask;
    this.#onAnswer = onAnswer;
  }

  get scope(): SeriesScope | undefined {
    return this.#scope;
  }

  /** From the first to the last place of what is loaded; grows, and begins anew on another axis. */
  get extent(): ReadonlySignal<SeriesExtent | undefined> {
    return this.#extent;
  }

  series(name: string): ReadonlySignal<LoadedSeries | undefined> {
    return this.#signal(name);
  }

  /** Loads what is wanted and not there in this scope. Resolves when all of it is there, or was overtaken. @throws {ApiError} */
  async want(scope: SeriesScope, names: readonly string[]): Promise<void> {
    this.#wanted = names;
    if (!isSameScope(this.#scope, scope)) {
      this.#scope = scope;
      this.#flight?.control.abort();
      this.#flight = undefined;
    }
    const missing = names.filter((name) => !this.#flight?.names.includes(name) && !this.#isLoaded(name));
    if (missing.length === 0) return this.#flight?.done;
    await this.#load(scope, [...(this.#flight?.names ?? []), ...missing]);
  }

  /** Asks for what is new at the end, and joins it to what is there; loads everything again when that has become too fine. @throws {ApiError} */
  async continue(signal: AbortSignal): Promise<void> {
    const scope = this.#scope;
    if (!scope || this.#flight) return;
    const known = this.#wanted.flatMap((name) => {
      const columns = this.#signal(name).peek()?.columns;
      return columns && this.#isLoaded(name) ? [{ name, last: columns.x.at(-1) ?? -Infinity }] : [];
    });
    const newest = Math.max(...known.map(({ last }) => last));
    if (!Number.isFinite(newest)) return this.#load(scope, this.#wanted);
    if (scope.range && newest >= scope.range[1]) return;
    // Series that ended long ago are not asked for from there on: they would make the new buckets coarse.
    const recent = newest - this.#spanOf(known.map(({ name }) => name)) * Math.max(tailShare, 4 / scope.buckets);
    const from = Math.min(...known.map(({ last }) => last).filter((last) => last >= recent));
    const answer = await this.#ask({ ...requestOf(scope, this.#wanted.slice(0, namesAtOnce)), from, buckets: tailBuckets }, signal);
    if (this.#closed || signal.aborted || !isSameScope(this.#scope, scope)) return;
    if (!this.#join(scope, answer, from)) await this.#load(scope, this.#wanted);
  }

  close(): void {
    this.#closed = true;
    this.#flight?.control.abort();
  }

  /** Puts a tail that begins at `from` in its place. False when series have to be loaded again for what is new. */
  #join(scope: SeriesScope, answer: SeriesAnswer, from: number): boolean {
    const totals = new Map(answer.available.map(({ name, points }) => [name, points]));
    let isComplete = true;
    batch(() => {
      this.#onAnswer(answer);
      for (const message of answer.series) {
        const { name } = message;
        const old = this.#signal(name).peek()?.columns;
        const total = totals.get(name) ?? 0;
        if (!old || total === this.#points.get(name)) continue;
        const tail = columnsOf(message);
        const last = old.x.at(-1) ?? -Infinity;
        const columns = mergeTail(old, tail, from);
        if ((last < from && tail.x.length > 0) || columns.x.length > 2 * scope.buckets) {
          isComplete = false; // a bucket before `from` may hold some of these points already, or there are too many
          continue;
        }
        this.#points.set(name, total);
        if (last >= from) this.#put(name, { scope, columns });
      }
    });
    return isComplete;
  }

  async #load(scope: SeriesScope, names: readonly string[]): Promise<void> {
    this.#flight?.control.abort();
    const control = new AbortController();
    const done = this.#fetch(scope, names, control.signal).catch((cause: unknown) => {
      if (!control.signal.aborted) throw cause;
    });
    const flight = { control, names, done };
    this.#flight = flight;
    try {
      await done;
    } finally {
      if (this.#flight === flight) this.#flight = undefined;
    }
  }

  async #fetch(scope: SeriesScope, names: readonly string[], signal: AbortSignal): Promise<void> {
    for (let start = 0; start < names.length; start += namesAtOnce) {
      const answer = await this.#ask(requestOf(scope, names.slice(start, start + namesAtOnce)), signal);
      if (signal.aborted || this.#closed) return;
      const totals = new Map(answer.available.map(({ name, points }) => [name, points]));
      batch(() => {
        this.#onAnswer(answer);
        for (const message of answer.series) {
          this.#points.set(message.name, totals.get(message.name) ?? countOf(columnsOf(message)));
          this.#put(message.name, { scope, columns: columnsOf(message) });
        }
      });
    }
  }

  #put(name: string, loaded: LoadedSeries): void {
    this.#signal(name).value = loaded;
    const { x } = loaded.columns;
    const [first, last] = [x[0], x.at(-1)];
    if (first === undefined || last === undefined) return;
    const { axis } = loaded.scope;
    const old = this.#extent.peek();
    const known = old?.axis === axis ? old : { axis, from: first, to: last };
    if (known !== old || first < known.from || last > known.to) this.#extent.value = { axis, from: Math.min(first, known.from), to: Math.max(last, known.to) };
  }

  #isLoaded(name: string): boolean {
    return isSameScope(this.#signal(name).peek()?.scope, this.#scope);
  }

  #spanOf(names: readonly string[]): number {
    let first = Infinity;
    let last = -Infinity;
    for (const name of names) {
      const x = this.#signal(name).peek()?.columns.x ?? [];
      first = Math.min(first, x[0] ?? Infinity);
      last = Math.max(last, x.at(-1) ?? -Infinity);
    }
    return last > first ? last - first : 0;
  }

  #signal(name: string): Signal<LoadedSeries | undefined> {
    let found = this.#loaded.get(name);
    if (!found) {
      found = signal<LoadedSeries | undefined>(undefined);
      this.#loaded.set(name, found);
    }
    return found;
  }
}

export function isSameScope(one: SeriesScope | undefined, other: SeriesScope | undefined): boolean {
  if (!one || !other) return one === other;
  return one.axis === other.axis && one.logX === other.logX && one.buckets === other.buckets && one.range?.[0] === other.range?.[0] && one.range?.[1] === other.range?.[1];
}

function requestOf({ axis, logX, buckets, range }: SeriesScope, names: readonly string[]): SeriesRequest {
  return { names, axis: seriesAxes[axis], buckets: Math.min(mostBuckets, buckets), ...(logX ? { logarithmic: true } : {}), ...(range ? { from: range[0], to: range[1] } : {}) };
}
