import type { Worker } from '../api/client.js';
import { formatAgo, formatDuration } from '../view/format.js';

/** A worker that is not heard for so long is told: heartbeats come every few seconds. */
const SILENT_MS = 15_000;
/** Share of leases that others had to repeat from which on a worker is a straggler, once it has done enough of them to tell. */
const STRAGGLING_SHARE = 0.1;
const LEAST_LEASES = 20;

/** Were so many of its leases given to others, because they took long, that it holds the others up? */
export function stragglerOf({ leasesDone, straggled }: Pick<Worker, 'leasesDone' | 'straggled'>): boolean {
  const done = Number(leasesDone);
  return Number(straggled) > 0 && Number(straggled) >= STRAGGLING_SHARE * Math.max(done, LEAST_LEASES);
}

/** What is conspicuous about a worker, in words that follow its name; empty for most. */
export function conductOf(worker: Worker, now: number): readonly string[] {
  const notes: string[] = [];
  if (worker.state === 'WORKER_STATE_PUT_ASIDE') {
    const seconds = (Date.parse(worker.asideUntil ?? '') - now) / 1000;
    notes.push(`failed too many leases and is put aside${Number.isFinite(seconds) && seconds > 0 ? ` for ${formatDuration(seconds)} more` : ''}; it gets no lease until then. Its log says why.`);
  }
  if (stragglerOf(worker)) notes.push(`is a straggler: ${worker.straggled} of its leases took so long that others computed them too.`);
  const silent = now - Date.parse(worker.lastHeardAt ?? '');
  if (silent > SILENT_MS) notes.push(`was last heard ${formatAgo(worker.lastHeardAt, now)}.`);
  return notes;
}
