import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Dd2Error } from '@dd2/core';
import { fromRecord, type ErrorRecord } from '@dd2/engine/error-record';
import type { Logger } from 'pino';
import type { SeriesAnswer } from './series-answer.js';
import type { SeriesRun } from './series-library.js';
import type { SeriesQuery } from './series-request.js';

export interface SeriesThreadData {
  /** folder of derived files; any of them may be deleted */
  readonly cacheDir: string;
  readonly knownRuns: readonly string[];
}

type Command =
  | { readonly op: 'answer' | 'json'; readonly run: SeriesRun; readonly query: SeriesQuery }
  | { readonly op: 'follow' | 'prepare'; readonly runs: readonly SeriesRun[] }
  | { readonly op: 'close' };

export type SeriesMessage = Command & { readonly id: number };

export interface SeriesReply {
  readonly id: number;
  readonly answer?: SeriesAnswer;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** why there is no answer */
  readonly error?: ErrorRecord;
}

export interface SeriesReaderOptions {
  readonly dataDir: string;
  /** the runs of the data folder as they are now */
  readonly runs: () => readonly SeriesRun[];
  readonly logger?: Logger | undefined;
}

/** A coordinator has more urgent things to do when it starts. */
const PREPARE_AFTER_MS = 2_000;
/** The thread reads what active runs have appended so often. */
const FOLLOW_MS = 2_000;

/**
 * Answers questions about the series of runs in a thread of its own, reading hundreds of megabytes of metrics must not
 * hold up leases and heartbeats. The thread is started with the first question, or soon: then it makes the caches that are missing.
 */
export class SeriesReader {
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #waiting = new Map<number, { resolve: (reply: SeriesReply) => void; reject: (error: Error) => void }>();
  #thread: Worker | undefined;
  #nextId = 1;
  /** runs that were active when they were followed last */
  #followed: ReadonlySet<string> = new Set();
  #following = false;
  #closed = false;

  constructor(private readonly options: SeriesReaderOptions) {
    this.#timers = [setTimeout(() => void this.#prepare(), PREPARE_AFTER_MS).unref(), setInterval(() => void this.#follow(), FOLLOW_MS).unref()];
  }

  /** @throws {Dd2Error} UNAVAILABLE when the reader is closed, INTERNAL when the metrics cannot be read */
  async answer(run: SeriesRun, query: SeriesQuery): Promise<SeriesAnswer> {
    const { answer } = await this.#ask({ op: 'answer', run, query });
    if (!answer) throw new Dd2Error('INTERNAL', 'the thread that reads metrics gave no answer');
    return answer;
  }

  /** The same as JSON, UTF-8, compressed with gzip. */
  async compressedJson(run: SeriesRun, query: SeriesQuery): Promise<Uint8Array> {
    const { bytes } = await this.#ask({ op: 'json', run, query });
    if (!bytes) throw new Dd2Error('INTERNAL', 'the thread that reads metrics gave no answer');
    return Buffer.from(bytes.buffer);
  }

  /** Saves what was read, and ends the thread. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const thread = this.#thread;
    if (thread && !this.#closed) await this.#ask({ op: 'close' }).catch((error: unknown) => this.options.logger?.warn({ err: error }, 'the caches of series could not be saved'));
    this.#closed = true;
    await thread?.terminate();
  }

  async #prepare(): Promise<void> {
    const runs = this.options.runs();
    if (runs.length === 0 || this.#closed) return;
    await this.#ask({ op: 'prepare', runs }).catch((error: unknown) => this.options.logger?.warn({ err: error }, 'the metrics of a run could not be read'));
  }

  /** Active runs, and once more those that no longer are: then they are saved. */
  async #follow(): Promise<void> {
    const runs = this.options.runs().filter(({ runId, active }) => active || this.#followed.has(runId));
    if (runs.length === 0 || this.#following || this.#closed) return;
    this.#following = true;
    this.#followed = new Set(runs.filter(({ active }) => active).map(({ runId }) => runId));
    try {
      await this.#ask({ op: 'follow', runs });
    } catch (error) {
      this.options.logger?.warn({ err: error }, 'the metrics of active runs could not be read');
    } finally {
      this.#following = false;
    }
  }

  #ask(command: Command): Promise<SeriesReply> {
    if (this.#closed) return Promise.reject(new Dd2Error('UNAVAILABLE', 'the coordinator stops'));
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#started().postMessage({ ...command, id } satisfies SeriesMessage);
    });
  }

  #started(): Worker {
    if (this.#thread) return this.#thread;
    const workerData: SeriesThreadData = { cacheDir: join(this.options.dataDir, 'cache', 'series'), knownRuns: this.options.runs().map(({ runId }) => runId) };
    // From src, where tests run, this is the compiled thread as well.
    const thread = new Worker(new URL('../../dist/series/series-thread.js', import.meta.url), { name: 'dd2-series', workerData });
    thread.on('message', (reply: SeriesReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.error) waiting?.reject(fromRecord(reply.error));
      else waiting?.resolve(reply);
    });
    thread.on('error', (error) => this.#fail(thread, error));
    thread.on('exit', () => this.#fail(thread, new Dd2Error('INTERNAL', 'the thread that reads metrics ended')));
    return (this.#thread = thread);
  }

  /** The next question starts another thread. */
  #fail(thread: Worker, error: Error): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
