import type { HostTensor } from '@dd2/core';
import type { Lease } from '@dd2/proto';
import { pullTensor, type BulkSource } from './local-copies.js';

/**
 * What the micro-batches of a lease are given, in their order. Unlike assets, which every lease of a program shares, these are
 * pulled for this lease alone and not kept.
 */
export async function pullInputs(lease: Lease, source: BulkSource): Promise<Record<string, HostTensor>[]> {
  const inputs: Record<string, HostTensor>[] = [];
  for (const { tensors } of lease.inputs) {
    inputs.push(Object.fromEntries(await Promise.all(tensors.map(async ({ name, assetId }) => [name, await pullTensor(assetId, source)] as const))));
  }
  return inputs;
}
