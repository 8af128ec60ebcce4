import type { Lease } from '@dd2/proto';

/** Leases that wait for the engine, executed one after the other in the order in which they came; between them other tasks. */
export class LeaseQueue {
  readonly #waiting: (Lease | (() => Promise<void>))[] = [];
  #current: Lease | undefined;
  #working: Promise<void> | undefined;

  /** @param execute one lease; must not reject */
  constructor(readonly execute: (lease: Lease) => Promise<void>) {}

  /** The lease that is being executed. */
  get current(): Lease | undefined {
    return this.#current;
  }

  push(lease: Lease): void {
    this.#add(lease);
  }

  /** Something that must not happen while a lease is executed; must not reject. */
  run(task: () => Promise<void>): void {
    this.#add(task);
  }

  /** Drops a lease that is not being executed yet. */
  revoke(leaseId: string): void {
    const index = this.#waiting.findIndex((entry) => typeof entry !== 'function' && entry.leaseId === leaseId);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** Drops every lease that waits. */
  clear(): void {
    const tasks = this.#waiting.filter((entry) => typeof entry === 'function');
    this.#waiting.splice(0, this.#waiting.length, ...tasks);
  }

  /** Resolves when nothing is being executed and nothing waits. */
  async idle(): Promise<void> {
    await this.#working;
  }

  #add(entry: Lease | (() => Promise<void>)): void {
    this.#waiting.push(entry);
    this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    for (let entry = this.#waiting.shift(); entry; entry = this.#waiting.shift()) {
      if (typeof entry === 'function') await entry();
      else {
        this.#current = entry;
        await this.execute(entry);
        this.#current = undefined;
      }
    }
    // In the same tick as the last look into the queue: a lease that comes now must find nobody working.
    this.#working = undefined;
  }
}
