import { Dd2Error } from '@dd2/core';
import type { Logger } from 'pino';
import type { ZodType } from 'zod';
import { decodeJob, failuresOf, retryDelay } from './job-record.js';
import type { StoredJob } from './store-backend.js';

/** How the jobs of a queue are processed. */
export interface Processing<D> {
  readonly schema: ZodType<D>;
  /** jobs that are processed at once */
  readonly concurrency: number;
  readonly attempts: number;
  /** time before the second attempt; doubled before each further one, at most five minutes */
  readonly backoffMs: number;
  /**
   * May be called again for a job that was processed, and has to notice; never while the job is being processed. An error that
   * is a `Dd2Error` and not retryable ends the job, others are tried again.
   */
  process(job: { readonly id: string; readonly data: D; readonly attempt: number; readonly lastAttempt: boolean }): Promise<void>;
  /** @param attempt the one that failed, from 1 */
  onRetry?(id: string, error: unknown, attempt: number, delayMs: number): void;
  onGivenUp?(id: string, error: unknown): void;
}

/** Processes jobs, not more at once than there are places, wherever they come from. */
export class JobProcessor<D> {
  readonly #running = new Map<string, Promise<void>>();
  /** those for which there is no place yet, since jobs of a replaced worker still hold them */
  readonly #queued: (() => void)[] = [];
  #places: number;
  #closing = false;

  constructor(
    readonly processing: Processing<D>,
    private readonly logger: Logger,
  ) {
    this.#places = processing.concurrency;
  }

  get hasPlace(): boolean {
    return this.#places > 0;
  }

  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  /** From now on nobody is told of jobs that fail: they come again from the store. */
  close(): void {
    this.#closing = true;
  }

  /** Resolves when nothing is being processed any more. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#running.values());
  }

  /** @throws what `Processing.process` throws */
  async process(id: string, job: StoredJob): Promise<void> {
    const running = this.#attempt(id, job).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    await running;
  }

  async #attempt(id: string, job: StoredJob): Promise<void> {
    const { processing } = this;
    this.#places--;
    if (this.#places < 0) await new Promise<void>((resolve) => this.#queued.push(resolve));
    const attempt = failuresOf(job) + 1;
    const lastAttempt = attempt >= processing.attempts;
    try {
      await processing.process({ id, data: decodeJob(id, job.data, processing.schema), attempt, lastAttempt });
    } catch (thrown) {
      if (!this.#closing) this.#tell(id, thrown, attempt, lastAttempt);
      throw thrown;
    } finally {
      this.#places++;
      this.#queued.shift()?.();
    }
  }

  #tell(id: string, thrown: unknown, attempt: number, lastAttempt: boolean): void {
    this.logger.debug({ job: id, attempt, err: thrown }, 'a job failed');
    if (lastAttempt || isFinal(thrown)) this.processing.onGivenUp?.(id, thrown);
    else this.processing.onRetry?.(id, thrown, attempt, retryDelay(attempt, this.processing.backoffMs));
  }
}

/** Would another attempt end the same way? */
export const isFinal = (thrown: unknown): boolean => thrown instanceof Dd2Error && !thrown.retryable;
