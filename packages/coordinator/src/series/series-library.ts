import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { MetricsFollower } from './metrics-follower.js';
import { answerSeries, type SeriesAnswer } from './series-answer.js';
import { DamagedSeriesCache, openSeriesCache, writeSeriesCache, type CachedSeries } from './series-cache.js';
import type { SeriesQuery } from './series-request.js';

/** A run, as whoever asks about it knows it. */
export interface SeriesRun {
  readonly runId: string;
  /** its metrics.jsonl */
  readonly path: string;
  /** whether lines are being appended: then an answer may be up to a second old, otherwise it is that of the file as it is */
  readonly active: boolean;
}

export interface LibraryOptions {
  /** folder of derived files, one for each run */
  readonly cacheDir: string;
  /** memory of all runs together, as far as one run fits into it */
  readonly memoryBytes: number;
  /** an active run's file is looked at so often */
  readonly freshMs: number;
  /** a run that is neither asked about nor followed for so long leaves the memory */
  readonly idleMs: number;
}

export const libraryDefaults: Omit<LibraryOptions, 'cacheDir'> = { memoryBytes: 512 << 20, freshMs: 1_000, idleMs: 600_000 };

interface OpenRun {
  readonly runId: string;
  readonly follower: MetricsFollower;
  readonly cached: CachedSeries | undefined;
  /** reads of the file come one after the other */
  following: Promise<unknown>;
  lookedAt: number;
  usedAt: number;
  users: number;
  /** rows that the cache file has, or that it could not be given */
  savedRows: number;
  /** compressed answers of the rows as they are, by query */
  readonly answers: Map<string, Uint8Array>;
  answerBytes: number;
}

const SUFFIX = '.series';
/** Fewer rows than this are read from metrics.jsonl as quickly as from a cache. */
const LEAST_SAVED_ROWS = 512;
/** Metrics of fewer bytes are read within a blink. */
const LEAST_PREPARED_BYTES = 8 << 20;
const MOST_ANSWER_BYTES = 8 << 20;
/** Answers go to pages on the same machine or over a network: most of what compression can save, for a third of its time. */
const COMPRESSION = { level: constants.Z_BEST_SPEED };

/**
 * The series of all runs of a data folder: in memory for runs that are asked about or followed, in cache files for the others. A cache
 * that is missing, damaged or not that of the metrics is made anew.
 */
export class SeriesLibrary {
  readonly #open = new Map<string, OpenRun>();
  readonly #options: LibraryOptions;

  constructor(options: Pick<LibraryOptions, 'cacheDir'> & Partial<LibraryOptions>) {
    this.#options = { ...libraryDefaults, ...options };
  }

  async answer(run: SeriesRun, query: SeriesQuery): Promise<SeriesAnswer> {
    return this.#use(run, ({ follower }) => answerSeries(follower.store, query));
  }

  /** The answer's JSON form, UTF-8, compressed with gzip. Those who ask the same of the same rows share it. */
  async compressedJson(run: SeriesRun, query: SeriesQuery): Promise<Uint8Array> {
    return this.#use(run, (open) => {
      const key = JSON.stringify(query);
      const known = open.answers.get(key);
      if (known) return known;
      const bytes = gzipSync(JSON.stringify(answerSeries(open.follower.store, query)), COMPRESSION);
      const size = bytes.length + key.length; // questions may be larger than their answers
      if (open.answerBytes + size > MOST_ANSWER_BYTES) forgetAnswers(open);
      open.answers.set(key, bytes);
      open.answerBytes += size;
      return bytes;
    });
  }

  /** Reads what was appended, so that a question finds little left to read. Runs come into memory while there is room. */
  async follow(runs: readonly SeriesRun[]): Promise<void> {
    const failures: unknown[] = [];
    for (const run of runs) {
      if (this.#open.has(run.runId) || this.bytes < this.#options.memoryBytes / 2) await this.#use(run, () => undefined).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Makes the caches of long runs that have none as new as their metrics, before somebody has to wait for it. */
  async prepare(runs: readonly SeriesRun[]): Promise<void> {
    const failures: unknown[] = [];
    for (const run of runs) await this.#prepareOne(run).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  async #prepareOne(run: SeriesRun): Promise<void> {
    const metrics = statSync(run.path, { throwIfNoEntry: false });
    const cache = statSync(this.#cacheFile(run.runId), { throwIfNoEntry: false });
    if (!metrics || metrics.size < LEAST_PREPARED_BYTES || (cache && cache.mtimeMs >= metrics.mtimeMs)) return;
    const wasOpen = this.#open.has(run.runId);
    await this.#use({ ...run, active: false }, () => undefined);
    if (!wasOpen && this.#open.get(run.runId)?.users === 0 && !run.active) this.#drop(run.runId);
  }

  /** Memory of all runs. */
  get bytes(): number {
    let bytes = 0;
    for (const { follower, answerBytes } of this.#open.values()) bytes += follower.store.bytes + answerBytes;
    return bytes;
  }

  /** Runs that are in memory. */
  get openRuns(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** Lets go of runs that nobody has used for a while. */
  dropIdle(): void {
    const before = performance.now() - this.#options.idleMs;
    for (const [runId, { usedAt, users }] of this.#open) if (users === 0 && usedAt < before) this.#drop(runId);
  }

  /** Removes the caches of runs that are no more, and what a crash left half written. */
  prune(known: readonly string[]): void {
    const wanted = new Set(known.map((runId) => this.#cacheFile(runId)));
    for (const name of namesIn(this.#options.cacheDir)) {
      const path = join(this.#options.cacheDir, name);
      if (!wanted.has(path)) removeIfPossible(path);
    }
  }

  close(): void {
    for (const runId of this.#open.keys()) this.#drop(runId);
  }

  /** Calls with a run's series as they are now. A cache that turns out to be damaged is dropped, and all is read anew. */
  async #use<T>(run: SeriesRun, take: (open: OpenRun) => T, again = true): Promise<T> {
    const open = this.#opened(run, again);
    open.users += 1;
    try {
      await this.#catchUp(open, run.active);
      open.usedAt = performance.now();
      return take(open);
    } catch (error) {
      if (!(error instanceof DamagedSeriesCache)) throw error;
      if (this.#open.get(run.runId) === open) this.#forget(run.runId);
      if (!again) throw error;
      removeIfPossible(this.#cacheFile(run.runId));
    } finally {
      open.users -= 1;
      this.#keepWithinMemory();
    }
    return this.#use(run, take, false);
  }

  /** @param withCache unless it was found to be damaged: it may be where nothing can be removed */
  #opened({ runId, path }: SeriesRun, withCache: boolean): OpenRun {
    const known = this.#open.get(runId);
    if (known) return known;
    const cached = withCache ? openSeriesCache(this.#cacheFile(runId)) : undefined;
    const follower = new MetricsFollower(path, cached?.store, cached?.marks);
    const open: OpenRun = { runId, follower, cached, following: Promise.resolve(), lookedAt: -Infinity, usedAt: performance.now(), users: 0, savedRows: cached?.store.rows ?? 0, answers: new Map(), answerBytes: 0 };
    this.#open.set(runId, open);
    return open;
  }

  async #catchUp(open: OpenRun, active: boolean): Promise<void> {
    const following = open.following.then(async () => {
      const now = performance.now();
      if (active && now - open.lookedAt < this.#options.freshMs) return;
      if (await open.follower.follow()) forgetAnswers(open);
      open.lookedAt = now;
      this.#saveWhenDue(open, active);
    });
    open.following = following.catch(() => undefined); // each caller hears of its own
    await following;
  }

  #saveWhenDue(open: OpenRun, active: boolean): void {
    const { rows } = open.follower.store;
    open.savedRows = Math.min(open.savedRows, rows);
    const unsaved = rows - open.savedRows;
    // Each row of a run that grows is written a few times in all, and a coordinator that starts again has an eighth to read at most.
    if (unsaved >= (active ? Math.max(8 * LEAST_SAVED_ROWS, open.savedRows / 8) : LEAST_SAVED_ROWS)) this.#save(open);
  }

  /** A cache that cannot be written, on a full disk for one, is tried again when there is more to save. */
  #save(open: OpenRun): void {
    const { store, marks } = open.follower;
    open.savedRows = store.rows;
    try {
      writeSeriesCache(this.#cacheFile(open.runId), store, marks);
    } catch (error) {
      if (error instanceof DamagedSeriesCache) throw error;
    }
  }

  #cacheFile(runId: string): string {
    return join(this.#options.cacheDir, encodeURIComponent(runId) + SUFFIX);
  }

  /** Lets go of the runs that were used least recently until the others fit. */
  #keepWithinMemory(): void {
    const idle = [...this.#open].filter(([, { users }]) => users === 0).sort(([, a], [, b]) => a.usedAt - b.usedAt);
    idle.pop(); // the newest stays, however large it is
    for (const [runId] of idle) {
      if (this.bytes <= this.#options.memoryBytes) return;
      this.#drop(runId);
    }
  }

  #drop(runId: string): void {
    const open = this.#open.get(runId);
    if (!open) return;
    try {
      if (open.follower.store.rows - open.savedRows >= LEAST_SAVED_ROWS) this.#save(open);
    } catch {
      removeIfPossible(this.#cacheFile(runId)); // damaged: it is made anew when it is needed
    }
    this.#forget(runId);
  }

  #forget(runId: string): void {
    this.#open.get(runId)?.cached?.close();
    this.#open.delete(runId);
  }
}

function forgetAnswers(open: OpenRun): void {
  open.answers.clear();
  open.answerBytes = 0;
}

/** What cannot be removed is in nobody's way: who reads a cache looks whether it is one, and whose. */
function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // a folder, or one in which nothing may be changed
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
