import { JOB, failuresOf, fromStorePriority, jobId, storeOptions } from './job-record.js';
import type { StoreQueue } from './store-backend.js';

/** Every coordinator has queues of its own, so that one that has been replaced but still lives takes no job of the next. */
export const queueName = (name: string, epoch: bigint): string => `${name}-${epoch}`;

const EPOCHS = 'epochs';
const EPOCH_PREFIX = 'epoch.';

/**
 * Brings the jobs of former coordinators into the queues of this one: those that waited, those that were to be tried again
 * and those that were being processed when it died, at once and with the number of attempts that failed. Removes the former
 * queues. Doing it twice, or half, does no harm.
 *
 * Which coordinators there were is itself kept in a queue that nobody takes from.
 */
export async function adoptFormerJobs(names: readonly string[], epoch: bigint, open: (name: string) => StoreQueue): Promise<void> {
  const opened: StoreQueue[] = [];
  const use = (name: string): StoreQueue => {
    const queue = open(name);
    opened.push(queue);
    return queue;
  };
  try {
    const epochs = use(EPOCHS);
    await epochs.add('epoch', { json: 'null', failures: 0 }, { jobId: `${EPOCH_PREFIX}${epoch}` });
    for (const entry of await epochs.getJobs(['waiting'], 0, -1, true)) {
      const former = BigInt((entry.id ?? '').slice(EPOCH_PREFIX.length));
      if (former >= epoch) continue;
      for (const name of names) await moveJobs(use(queueName(name, former)), use(queueName(name, epoch)));
      await epochs.remove(`${EPOCH_PREFIX}${former}`);
    }
  } finally {
    await Promise.all(opened.map((queue) => queue.close()));
  }
}

async function moveJobs(from: StoreQueue, to: StoreQueue): Promise<void> {
  for (const state of ['active', 'prioritized', 'waiting', 'delayed'] as const) {
    for (const job of await from.getJobs([state], 0, -1, true)) {
      const id = jobId(job.id);
      // what else there is were probes of liveness
      if (id === undefined) continue;
      const attempts = (job.opts.attempts ?? 1) - job.attemptsMade;
      await to.add(JOB, { json: job.data.json, failures: failuresOf(job) }, storeOptions(id, fromStorePriority(job.priority), attempts));
    }
  }
  await from.obliterate({ force: true });
}
