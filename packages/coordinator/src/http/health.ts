import type { Fence } from '../fence.js';
import type { QueueStore } from '../queue/index.js';

/** What a probe is told. */
export interface Health {
  readonly ok: boolean;
  /** why not; empty when ok */
  readonly reasons: readonly string[];
}

/** Consumption that stands still for so long, with a store that answers, is not repaired by waiting. */
const STUCK_MS = 120_000;

/** What the state of a coordinator follows from; the store is there once the queues are opened. */
export interface HealthSources {
  readonly fence: Pick<Fence, 'lost'>;
  readonly store: () => Pick<QueueStore, 'stuckMs'> | undefined;
  /** whether workers and clients can connect */
  readonly listens: () => boolean;
  /** whether it was told to end: it writes checkpoints, and leases nothing any more */
  readonly closing: () => boolean;
}

/** Whether the process does its work: a new one would not do better. A store that is away is no reason, since what runs goes on. */
export function liveness({ fence, store }: HealthSources): Health {
  const stuckMs = store()?.stuckMs ?? 0;
  return healthOf([
    ...(fence.lost.aborted ? ['another coordinator has taken the data folder over'] : []),
    ...(stuckMs > STUCK_MS ? [`no job has been taken from the queues for ${Math.round(stuckMs / 1_000)} s, though their store answers`] : []),
  ]);
}

/** Whether workers and people should come here: work can be leased. */
export function readiness({ fence, store, listens, closing }: HealthSources): Health {
  return healthOf([
    ...(closing() ? ['the coordinator stops'] : []),
    ...(fence.lost.aborted ? ['another coordinator has taken the data folder over'] : []),
    ...(listens() ? [] : ['workers and clients cannot connect yet']),
    ...(store() ? [] : ['the queues are not opened yet']),
  ]);
}

function healthOf(reasons: readonly string[]): Health {
  return { ok: reasons.length === 0, reasons };
}
