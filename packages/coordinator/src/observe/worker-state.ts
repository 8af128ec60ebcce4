import type { Standing } from '../lease-table.js';

/** What a connected worker does, in a word. One that leaves does so whatever else is true of it. */
export function workerState({ draining, asideMs }: Standing, leases: number): 'draining' | 'put_aside' | 'busy' | 'idle' {
  if (draining) return 'draining';
  if (asideMs > 0) return 'put_aside';
  return leases > 0 ? 'busy' : 'idle';
}
