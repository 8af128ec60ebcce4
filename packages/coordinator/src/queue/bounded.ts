import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';

/** How long a call to the queue store may take before it counts as unreachable. */
export const CALL_TIMEOUT_MS = 3_000;

/**
 * Waits for a call to the queue store, but not for ever. A call that comes too late is left alone: everything the queue does
 * may happen twice or late.
 * @throws {Dd2Error} UNAVAILABLE when it fails or takes longer than `timeoutMs`
 */
export async function bounded<T>(what: string, call: Promise<T>, timeoutMs = CALL_TIMEOUT_MS): Promise<T> {
  const timer = new AbortController();
  const late = Symbol('late');
  let result: T | typeof late;
  try {
    result = await Promise.race([call, delay(timeoutMs, late, { signal: timer.signal })]);
  } catch (thrown) {
    throw unavailable(what, reason(thrown));
  } finally {
    timer.abort();
  }
  if (result === late) throw unavailable(what, `no answer within ${timeoutMs / 1000} s`);
  return result;
}

/** The error of a queue call that did not succeed; nothing is lost by it, see `JobQueue.reconcile`. */
export function unavailable(what: string, why: string): Dd2Error {
  return new Dd2Error('UNAVAILABLE', `the queue store could not ${what}: ${why}`, { remedy: 'Try again when the queue store is back', details: { reason: why } });
}

/**
 * An error of the store in words. The error itself goes into no log: that of a refused log-in carries the password among its
 * properties.
 */
export function reason(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown instanceof Dd2Error && typeof thrown.details.reason === 'string') return thrown.details.reason;
  // no address of a host name answered: one error each, no message of its own
  if (thrown instanceof AggregateError && thrown.message === '') return thrown.errors.map(reason).join(', ');
  return thrown.message === '' ? thrown.name : thrown.message;
}
