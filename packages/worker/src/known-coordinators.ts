import { Dd2Error } from '@dd2/core';

/**
 * The newest coordinator of every cluster that this worker has heard of. One that was taken for dead and replaced may wake up
 * and answer again: it is not worked for.
 */
export class KnownCoordinators {
  readonly #epochs = new Map<string, bigint>();

  /** @throws {Dd2Error} UNAVAILABLE when a newer coordinator of the cluster was seen: dialling again may reach that one */
  meet(clusterId: string, epoch: bigint): void {
    const newest = this.#epochs.get(clusterId);
    if (newest !== undefined && epoch < newest) {
      throw new Dd2Error('UNAVAILABLE', `the coordinator of epoch ${epoch} answered, but the one of epoch ${newest} has taken over`, { field: 'epoch' });
    }
    this.#epochs.set(clusterId, epoch);
  }
}
