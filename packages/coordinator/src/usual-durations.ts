import type { Lease } from './lease-table.js';

/** A lease that takes this many times longer than is usual for its program is a straggler, and gets a backup on an idle worker. */
const STRAGGLER_FACTOR = 4;
const STRAGGLER_FLOOR_MS = 2_000;
/** Before so many leases of a program are done, nobody knows what is usual, and only this long a silence is a straggler's. */
const KNOWN_DURATIONS = 8;
const STRAGGLER_UNKNOWN_MS = 60_000;
/** durations that are remembered of a program, and programs that are remembered */
const DURATIONS_KEPT = 64;
const PROGRAMS_KEPT = 32;

/** How long the leases of each program have taken of late: what a straggler is measured by. */
export class UsualDurations {
  /** milliseconds per micro-batch, by program; in order of the last lease */
  readonly #known = new Map<string, number[]>();

  /** The lease is done. */
  remember({ job, span, assignedAt }: Lease, now: number): void {
    const known = this.#known.get(job.programId) ?? [];
    known.push((now - assignedAt) / (span.to - span.from));
    if (known.length > DURATIONS_KEPT) known.shift();
    this.#known.delete(job.programId);
    this.#known.set(job.programId, known);
    for (const programId of this.#known.keys()) {
      if (this.#known.size <= PROGRAMS_KEPT) break;
      this.#known.delete(programId);
    }
  }

  /** How long a lease may take before it counts as a straggler, in milliseconds. */
  patience({ job, span }: Lease): number {
    const known = this.#known.get(job.programId) ?? [];
    if (known.length < KNOWN_DURATIONS) return STRAGGLER_UNKNOWN_MS;
    const median = [...known].sort((a, b) => a - b)[known.length >> 1] ?? 0;
    return Math.max(STRAGGLER_FLOOR_MS, STRAGGLER_FACTOR * median * (span.to - span.from));
  }
}
