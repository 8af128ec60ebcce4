import type { Dispatcher, Job } from './dispatcher.js';
import type { Lease } from './lease-table.js';

/** What a message says of the lease that it belongs to. */
export interface LeaseReference {
  readonly leaseId: string;
  readonly epoch: bigint;
}

/** A lease's id on the wire ends with the session that holds it, so that no other worker can guess it. */
export function wireId({ id, worker }: Lease): string {
  return `${id}-${worker}`;
}

/**
 * The lease that a message names, if it is of this epoch, still wanted, and held by the session (when the message came over
 * one). Anything else is late or foreign.
 */
export function findLease(dispatcher: Pick<Dispatcher, 'find'>, ownEpoch: bigint, { leaseId, epoch }: LeaseReference, session?: string): Lease<Job> | undefined {
  const lease = epoch === ownEpoch ? dispatcher.find(Number(/^\d{1,15}(?=-)/.exec(leaseId)?.[0])) : undefined;
  return lease && wireId(lease) === leaseId && (session === undefined || lease.worker === session) ? lease : undefined;
}
