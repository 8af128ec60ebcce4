import { setTimeout as delay } from 'node:timers/promises';
import { Worker, type BackendFactory, type IQueueBackend, type Job, type JobProgress, type Processor, type Queue, type WorkerOptions } from 'bullmq';
import type { JobRecord } from './job-record.js';

export type StoredJob = Job<JobRecord, void, string>;
export type StoreProcessor = Processor<JobRecord, void, string>;
/** The part of BullMQ's `Queue` that is used here, whatever the store. */
export type StoreQueue = Pick<Queue<JobRecord, void, string>, 'add' | 'getJob' | 'getJobs' | 'getJobCounts' | 'remove' | 'obliterate' | 'close'>;
export interface StoreWorker {
  /** Takes no more jobs, and ends when those that are being processed are reported to the store. */
  close(): Promise<void>;
  /** Lets go of the store at once. What is being processed goes on and is not reported. */
  abandon(): Promise<void>;
}
export type StoreWorkerOptions = Omit<WorkerOptions, 'connection'>;

/** Where BullMQ keeps its jobs. The one part of the queue that differs between Redis and the embedded store. */
export interface StoreBackend {
  readonly kind: 'redis' | 'embedded';
  /** Resolves when the store can be used now; called again and again until it does. @throws why it cannot */
  connect(): Promise<void>;
  /** The store answers, yet jobs are not taken although everything was made anew: what remains to be tried. */
  repair(): Promise<void>;
  /** A BullMQ queue whose calls fail soon when the store is away. Made after `connect`. */
  queue(name: string): StoreQueue;
  /** A BullMQ worker, which waits for the store when it is away. Made after `connect`. */
  worker(name: string, process: StoreProcessor, options: StoreWorkerOptions): StoreWorker;
  close(): Promise<void>;
}

/** What a backend tells of its own accord. */
export interface BackendEvents {
  /** something about the connection has changed: it is worth looking now */
  changed(): void;
  /** an error that nobody waits for */
  trouble(thrown: unknown): void;
}

const REFUSED_PAUSE_MS = 500;

/**
 * BullMQ's worker asks for the next job again at once when the store refuses with an error (memory full, read-only, loading),
 * as fast as the processor allows. This one takes its time.
 */
export class PacedWorker<B extends IQueueBackend, C> extends Worker<JobRecord, void, string, B, JobProgress, C> implements StoreWorker {
  constructor(name: string, process: StoreProcessor, options: WorkerOptions<C>, factory: BackendFactory<B, C>) {
    super(name, process, options, factory);
  }

  async abandon(): Promise<void> {
    // without effect when it is being closed already, which may then wait for a store that is away
    void this.close(true);
    await this.backend.close(true);
  }

  protected override async moveToActive(token: string, name?: string): Promise<StoredJob> {
    try {
      return await super.moveToActive(token, name);
    } catch (thrown) {
      if (!this.closing) await delay(REFUSED_PAUSE_MS);
      throw thrown;
    }
  }
}
