/** Failed leases in a row, of at least so many jobs, after which a worker is put aside: one job alone may be to blame itself. */
const FAILURES = 3;
const JOBS = 2;
/** It gets another lease after this long; each further failure doubles the wait. */
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 300_000;
/** records that are kept of workers that do not come back */
const RECORDS_KEPT = 1_024;

interface Conduct {
  failures: number;
  jobs: number;
  lastJob: number;
  asideUntil: number;
}

/** Remembers which workers keep failing their leases, across their sessions. One success and all is forgotten. */
export class WorkerConduct {
  /** in order of the last failure */
  readonly #records = new Map<string, Conduct>();

  /** The worker failed a lease of a job. Returns for how long it is put aside, in milliseconds, if it is. */
  failed(identity: string, job: number, now: number): number | undefined {
    const record = this.#records.get(identity) ?? { failures: 0, jobs: 0, lastJob: 0, asideUntil: -Infinity };
    this.#records.delete(identity);
    this.#records.set(identity, record);
    record.failures += 1;
    if (record.lastJob !== job) record.jobs += 1;
    record.lastJob = job;
    for (const oldest of this.#records.keys()) {
      if (this.#records.size <= RECORDS_KEPT) break;
      this.#records.delete(oldest);
    }
    if (record.failures < FAILURES || record.jobs < JOBS) return undefined;
    const ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(record.failures - FAILURES, 30));
    record.asideUntil = now + ms;
    return ms;
  }

  succeeded(identity: string): void {
    this.#records.delete(identity);
  }

  isAside(identity: string, now: number): boolean {
    return this.asideMs(identity, now) > 0;
  }

  /** For how long it is still put aside, in milliseconds; 0 when it is not. */
  asideMs(identity: string, now: number): number {
    return Math.max(0, (this.#records.get(identity)?.asideUntil ?? -Infinity) - now);
  }
}
