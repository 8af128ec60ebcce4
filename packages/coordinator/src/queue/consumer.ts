import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';
import { CALL_TIMEOUT_MS, bounded, reason, unavailable } from './bounded.js';
import { isFinal, type JobProcessor } from './job-processor.js';
import { failuresOf, jobId, retryDelay } from './job-record.js';
import type { StoreBackend, StoreQueue, StoreWorker, StoredJob } from './store-backend.js';

const PROBE = 'probe';
const PROOF_TIMEOUT_MS = 5_000;
const OVERDUE_MS = 60_000;
const DUPLICATE_DELAY_MS = 15_000;

/** Takes the jobs of one queue from the store; proves on demand that it does. */
export class Consumer<D> {
  #store: { readonly queue: StoreQueue; readonly worker: StoreWorker } | undefined;
  /** how many jobs the store has handed out, probes included, and when it did last */
  #taken = 0;
  #takenAt = performance.now();
  #atLastLook = { taken: 0, left: 0 };
  #closing = false;

  constructor(
    readonly name: string,
    readonly processor: JobProcessor<D>,
    private readonly backend: StoreBackend,
  ) {}

  /** @throws {Dd2Error} UNAVAILABLE before the store could be reached for the first time */
  get queue(): StoreQueue {
    if (!this.#store) throw unavailable('be used', 'it has not been reached yet');
    return this.#store.queue;
  }

  /** Begins to take jobs. */
  start(): void {
    if (this.#closing) throw unavailable('be used', 'it is being closed');
    const { concurrency, backoffMs } = this.processor.processing;
    const queue = this.backend.queue(this.name);
    const worker = this.backend.worker(this.name, (job, token) => this.#take(job, token), {
      concurrency,
      lockDuration: 15_000,
      stalledInterval: 5_000,
      // jobs stall because a store or a process was away, which says nothing against them
      maxStalledCount: 1_000_000,
      runRetryDelay: 500,
      settings: { backoffStrategy: (attempts, _type, _error, job) => retryDelay(job ? failuresOf(job) + 1 : attempts, backoffMs) },
    });
    this.#store = { queue, worker };
  }

  /** Makes sure that jobs are taken, after the store was away. @throws {Dd2Error} UNAVAILABLE when they are not */
  async revive(): Promise<void> {
    try {
      if (!this.#store) this.start();
      await this.#prove();
    } catch {
      // with new connections; what is being processed goes on
      await this.#abandon();
      this.start();
      await this.#prove();
    }
  }

  /** Looks whether jobs are left lying while there are free places. @throws {Dd2Error} UNAVAILABLE when they are, or when the store does not answer */
  async look(): Promise<void> {
    const counts = await bounded('be looked at', this.queue.getJobCounts('waiting', 'prioritized', 'delayed'));
    const left = (counts.waiting ?? 0) + (counts.prioritized ?? 0);
    const lying = left > 0 && this.#atLastLook.left > 0 && this.#taken === this.#atLastLook.taken;
    const overdue = (counts.delayed ?? 0) > 0 && performance.now() - this.#takenAt > OVERDUE_MS;
    this.#atLastLook = { taken: this.#taken, left };
    if (lying || overdue) await this.#prove();
  }

  /** Stops taking jobs and waits up to `graceMs` for those that are being processed. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    this.processor.close();
    const reported = this.#store?.worker.close().catch(() => undefined);
    const timer = new AbortController();
    const elapsed = (ms: number): Promise<void> => delay(ms, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.processor.idle(), elapsed(graceMs)]);
    // what has just ended is still to be reported to the store, if that answers
    await Promise.race([reported, elapsed(CALL_TIMEOUT_MS)]);
    timer.abort();
    await this.#abandon();
  }

  /** Puts a probe into the queue and waits until something is taken: only that shows that jobs are. */
  async #prove(): Promise<void> {
    if (!this.processor.hasPlace) return;
    const { queue } = this;
    const before = this.#taken;
    const probe = await bounded('take a probe', queue.add(PROBE, { json: 'null', failures: 0 }, { removeOnComplete: true, removeOnFail: true }));
    const deadline = performance.now() + PROOF_TIMEOUT_MS;
    while (this.#taken === before) {
      if (this.#closing) throw unavailable('be used', 'it is being closed');
      if (performance.now() > deadline) {
        if (probe.id !== undefined) await bounded('remove a probe', queue.remove(probe.id));
        throw unavailable('be used', `no job of ${this.name} is taken from it`);
      }
      await delay(20);
    }
  }

  async #take(job: StoredJob, token: string | undefined): Promise<void> {
    this.#taken++;
    this.#takenAt = performance.now();
    const id = jobId(job.id);
    if (id === undefined) return;
    if (this.#closing) await putBack(job, token);
    if (this.processor.isRunning(id)) await putOff(job, token);
    try {
      await this.processor.process(id, job);
    } catch (thrown) {
      if (this.#closing) await putBack(job, token);
      throw isFinal(thrown) ? new UnrecoverableError(reason(thrown)) : thrown;
    }
  }

  async #abandon(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    if (!store) return;
    await Promise.allSettled([bounded('let go of a worker', store.worker.abandon()), bounded('let go of a queue', store.queue.close())]);
  }
}

/** Leaves a job in the store for the next coordinator, as if it had not been taken. */
async function putBack(job: StoredJob, token: string | undefined): Promise<never> {
  await job.moveToWait(token);
  throw new WaitingError('this coordinator closes');
}

/**
 * A job that is being processed comes once more when the store has lost its lock or its memory. It must not hold a place, and
 * must not get lost either, so it waits a while.
 */
async function putOff(job: StoredJob, token: string | undefined): Promise<never> {
  await job.moveToDelayed(Date.now() + DUPLICATE_DELAY_MS, token);
  throw new DelayedError('the job is being processed');
}
