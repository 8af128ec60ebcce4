import { join } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { CHUNK_BYTES, sendBulk, toNamedTensors, type Lease, type LeaseResultSchema, type MessageInitShape, type ServiceClient, type WorkerService } from '@dd2/proto';
import type { Engine } from '@dd2/engine';
import type { BulkSource, LocalCopies } from './local-copies.js';
import { pullInputs } from './pull-inputs.js';
import { pushLargeResults } from './push-results.js';

/** What a lease is executed with. */
export interface LeaseSurroundings {
  readonly engine: Pick<Engine, 'execute'>;
  readonly copies: LocalCopies;
  readonly source: BulkSource;
  /** name of the file in the exchange folder that every gradient of the session is written to */
  readonly exchangeName: string;
  readonly client: Pick<ServiceClient<typeof WorkerService>, 'pushGradient' | 'pushResult'>;
  /** A gradient did not arrive whole, although its result may have been sent. */
  readonly onRefused: (lease: Lease, error: Dd2Error) => void;
}

/**
 * One lease: pull what is missing -> draw inputs and run the program (in the engine's thread) -> push the gradient, or
 * leave it in the exchange folder when the coordinator is on the same machine.
 * The worker knows nothing of the method; the program and the lease say everything.
 */
export async function executeLease(lease: Lease, { engine, copies, source, exchangeName, client, onRefused }: LeaseSurroundings): Promise<MessageInitShape<typeof LeaseResultSchema>> {
  const started = performance.now();
  const { keys: parameters, reads } = await copies.require(lease, source);
  const given = await pullInputs(lease, source);
  const pulled = performance.now();
  const gradientFile = lease.expectsGradient && source.exchange !== undefined ? exchangeName : '';

  const task = engine.execute({
    program: lease.programId,
    seed: Number(lease.seed),
    update: lease.update,
    firstSample: lease.firstSample,
    microBatches: Array.from({ length: lease.microBatchCount }, (_, i) => ({ index: lease.firstMicroBatch + i, given: given[i] ?? {} })),
    parameters,
    assets: Object.fromEntries(lease.assets.map(({ name, assetId }) => [name, assetId])),
    ...(gradientFile !== '' && source.exchange !== undefined ? { gradientFile: join(source.exchange, gradientFile) } : {}),
  });
  const [result] = await Promise.all([task, reads]);
  const executed = performance.now();

  const results = await pushLargeResults(lease, result.results, client);
  if (result.gradient && lease.expectsGradient && result.finite) await pushGradient(lease, result.gradient, client, onRefused);
  return {
    leaseId: lease.leaseId,
    epoch: lease.epoch,
    microBatches: result.metrics.map((metrics, i) => ({ index: lease.firstMicroBatch + i, metrics, results: toNamedTensors(results[i] ?? {}) })),
    computeMs: result.computeMs,
    transferMs: pulled - started + (performance.now() - executed),
    gradientPushed: result.gradient !== undefined && result.finite,
    gradientFile: result.finite ? gradientFile : '',
    nonFinite: !result.finite,
  };
}

/** Streams the flat gradient in chunks of one shard. The coordinator's answer is not waited for, the result follows at once. */
async function pushGradient(lease: Lease, gradient: Float32Array<ArrayBuffer>, client: LeaseSurroundings['client'], onRefused: LeaseSurroundings['onRefused']): Promise<void> {
  const bytes = new Uint8Array(gradient.buffer, gradient.byteOffset, gradient.byteLength);
  const upload = client.pushGradient();
  upload.response.catch((error: unknown) => onRefused(lease, Dd2Error.from(error)));
  await sendBulk(
    upload.stream,
    { runId: lease.runId, leaseId: lease.leaseId, epoch: lease.epoch, name: 'gradient', totalBytes: bytes.byteLength, dtype: 'float32', shape: [gradient.length] },
    [bytes],
    { chunkBytes: CHUNK_BYTES },
  );
}
