import type { Consumer } from './consumer.js';
import { JOB, encodeJob, failuresOf, fromStorePriority, jobId, storeId, storeOptions, toStorePriority, type QueueJob } from './job-record.js';
import type { StoredJob } from './store-backend.js';

/** A job that is not being processed. */
export interface WaitingJob {
  readonly id: string;
  readonly priority: number;
  /** the attempt that it waits for, from 1 */
  readonly attempt: number;
  /** whether it waits for its time as well, after an attempt that failed */
  readonly delayed: boolean;
}

/** Carries out a call to the store. @throws {Dd2Error} UNAVAILABLE at once when it is down, and within seconds when it goes down */
export type StoreCall = <T>(what: string, call: () => Promise<T>) => Promise<T>;

const WAITING = ['waiting', 'prioritized', 'delayed'] as const;
type State = (typeof WAITING)[number] | 'active';

/**
 * What is to be processed, and in which order. All calls may be repeated.
 * They throw {Dd2Error} UNAVAILABLE while the store is down; nothing needs to be remembered then, `reconcile` makes up for it.
 */
export class JobQueue<D> {
  constructor(
    private readonly consumer: Consumer<D>,
    private readonly call: StoreCall,
  ) {}

  /**
   * Makes sure that the job is in the queue, or being processed. One that is there keeps its attempts and gets the priority.
   * @throws {Dd2Error} INVALID_ARGUMENT when the data do not fit the queue or weigh more than 64 KiB
   */
  async ensure(job: QueueJob<D>): Promise<void> {
    const record = encodeJob(job, this.consumer.processor.processing.schema);
    if (this.consumer.processor.isRunning(job.id)) return;
    await this.call('hold a job', async () => {
      const { queue } = this.consumer;
      const held = await queue.getJob(storeId(job.id));
      const state = await held?.getState();
      if (held && (state === 'completed' || state === 'failed')) await held.remove();
      else if (held && isWaiting(state)) return setPriority(held, job.priority);
      // where there is one of this id, nothing happens
      await queue.add(JOB, record, storeOptions(job.id, job.priority, this.consumer.processor.processing.attempts));
    });
  }

  /** Takes a job that waits out of the queue; one that is being processed is left alone. */
  async remove(id: string): Promise<void> {
    await this.call('remove a job', async () => {
      const held = await this.consumer.queue.getJob(storeId(id));
      if (held) await removeWaiting(held);
    });
  }

  /** Adds what is missing, removes what waits and is not desired. */
  async reconcile(desired: readonly QueueJob<D>[]): Promise<void> {
    const held = await this.call('list its jobs', () => this.#list([...WAITING, 'active']));
    const wanted = new Set(desired.map(({ id }) => id));
    for (const { id, job, state } of held) {
      if (!wanted.has(id) && state !== 'active') await this.call('remove a job', () => removeWaiting(job));
    }
    const priorities = new Map(held.map(({ id, job, state }) => [id, state === 'active' ? undefined : job.priority]));
    for (const job of desired) {
      const there = priorities.has(job.id);
      const priority = priorities.get(job.id);
      if (!there || (priority !== undefined && priority !== toStorePriority(job.priority))) await this.ensure(job);
    }
  }

  /** What waits, in the order in which it will be taken; what waits for its time comes last. */
  async waiting(): Promise<WaitingJob[]> {
    const held = await this.call('list its jobs', () => this.#list(WAITING));
    return held.map(({ id, job, state }) => ({ id, priority: fromStorePriority(job.priority), attempt: failuresOf(job) + 1, delayed: state === 'delayed' }));
  }

  /** Jobs of the store that are not being processed here: a job may be both for a while, after the store was away. */
  async #list<S extends State>(states: readonly S[]): Promise<{ readonly id: string; readonly job: StoredJob; readonly state: S }[]> {
    const found = [];
    for (const state of states) {
      for (const job of await this.consumer.queue.getJobs([state], 0, -1, true)) {
        const id = jobId(job.id);
        if (id !== undefined && !(state !== 'active' && this.consumer.processor.isRunning(id))) found.push({ id, job, state });
      }
    }
    return found;
  }
}

async function setPriority(job: StoredJob, priority: number): Promise<void> {
  const stored = toStorePriority(priority);
  // a change puts it behind the others of its priority
  if (job.priority !== stored) await whileWaiting(job, () => job.changePriority({ priority: stored }));
}

const removeWaiting = (job: StoredJob): Promise<void> => whileWaiting(job, () => job.remove());

/** The store refuses to change a job that was taken in the meantime, and then it need not be changed. */
async function whileWaiting(job: StoredJob, change: () => Promise<void>): Promise<void> {
  try {
    if (isWaiting(await job.getState())) await change();
  } catch (thrown) {
    if (isWaiting(await job.getState())) throw thrown;
  }
}

const isWaiting = (state: string | undefined): boolean => (WAITING as readonly (string | undefined)[]).includes(state);
