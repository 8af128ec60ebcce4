import { parentPort, Worker, workerData } from 'node:worker_threads';
import { Dd2Error } from '@dd2/core';
import { fromRecord, toRecord, type ErrorRecord } from '@dd2/engine/error-record';
import { lowerPriority } from './low-priority.js';

type Reply = { readonly value: unknown } | { readonly error: ErrorRecord };

/**
 * Has a thread of its own do one task, so that whatever it computes holds up neither leases nor pages.
 * @param module compiled module that calls `carryOut`, below dist/
 * @throws what the task throws; the signal's reason when it aborts first, which ends the thread
 */
export async function runInThread<T>(module: string, task: unknown, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  // From src, where tests run, this is the compiled thread as well.
  const thread = new Worker(new URL(`../dist/${module}`, import.meta.url), { name: `dd2-${module}`, workerData: task });
  const end = (): void => void thread.terminate();
  signal?.addEventListener('abort', end, { once: true });
  try {
    const reply = await new Promise<Reply>((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
      thread.once('exit', () => reject(signal?.aborted ? (signal.reason as Error) : new Dd2Error('INTERNAL', `the thread of ${module} ended without an answer`)));
    });
    if ('error' in reply) throw fromRecord(reply.error);
    return reply.value as T;
  } finally {
    signal?.removeEventListener('abort', end);
    await thread.terminate();
  }
}

/** Does this thread's task, and answers with its result. */
export async function carryOut<T>(work: (task: T) => Promise<unknown>): Promise<void> {
  lowerPriority();
  const reply = await work(workerData as T).then(
    (value): Reply => ({ value }),
    (error: unknown): Reply => ({ error: toRecord(error) }),
  );
  parentPort?.postMessage(reply);
}
