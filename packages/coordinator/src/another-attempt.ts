import { Dd2Error, type ErrorCode } from '@dd2/core';

/** Failures that another attempt can end differently: everything else follows from the spec, its assets and its numbers. */
const surroundings: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'INTERNAL', 'RUN_FAILED']);

/** The error with which a job asks its queue for another attempt; nothing when it was the last, or another would end alike. */
export function anotherAttempt(error: Dd2Error, lastAttempt: boolean): Dd2Error | undefined {
  return !lastAttempt && surroundings.has(error.code) ? new Dd2Error('UNAVAILABLE', error.message, { cause: error }) : undefined;
}
