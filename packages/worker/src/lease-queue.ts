import type { Lease } from '@dd2/proto';

/** Leases that wait for the engine, executed one after the other in the order in which they came. */
export class LeaseQueue {
  readonly #waiting: Lease[] = [];
  #working: Promise<void> | undefined;

  /** @param execute one lease; must not reject */
  constructor(readonly execute: (lease: Lease) => Promise<void>) {}

  get busy(): boolean {
    return this.#working !== undefined;
  }

  push(lease: Lease): void {
    this.#waiting.push(lease);
    this.#working ??= this.#work();
  }

  /** Drops a lease that is not being executed yet. */
  revoke(leaseId: string): void {
    const index = this.#waiting.findIndex((lease) => lease.leaseId === leaseId);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** Drops every lease that waits. */
  clear(): void {
    this.#waiting.splice(0);
  }

  /** Resolves when nothing is being executed and nothing waits. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    for (let lease = this.#waiting.shift(); lease; lease = this.#waiting.shift()) await this.execute(lease);
    // In the same tick as the last look into the queue: a lease that comes now must find nobody working.
    this.#working = undefined;
  }
}
