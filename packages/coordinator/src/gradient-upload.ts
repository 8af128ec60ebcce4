import { Dd2Error } from '@dd2/core';
import { fromStatus, receiveBulk, type Handlers, type WorkerService } from '@dd2/proto';
import type { Logger } from 'pino';
import { SHARD_BYTES, shardLength } from './aggregator.js';
import type { Dispatcher, Job } from './dispatcher.js';
import type { LeaseReference } from './lease-id.js';
import type { Lease } from './lease-table.js';

export interface GradientUploadOptions {
  readonly dispatcher: Pick<Dispatcher, 'find' | 'gradientReceived' | 'failed'>;
  /** the lease that a stream names, if its result is still wanted */
  readonly find: (header: LeaseReference) => Lease<Job> | undefined;
  readonly logger: Logger;
}

/** shards of one gradient that may wait to be added: a sender that is faster is slowed down */
const SHARDS_AHEAD = 32;

/** PushGradient: hands each shard to the reduction as it arrives; a gradient of another shape or of a stale lease is refused. */
export async function receiveGradient(
  stream: Parameters<Handlers<typeof WorkerService>['pushGradient']>[0],
  { dispatcher, find, logger }: GradientUploadOptions,
): Promise<{ accepted: boolean; reason: string }> {
  let lease: Lease<Job> | undefined;
  const added: Promise<boolean>[] = [];
  const gradient = (): NonNullable<Job['gradient']> => {
    if (!lease?.job.gradient) throw new Dd2Error('STALE_LEASE', 'this lease takes no gradient', { field: 'lease_id' });
    return lease.job.gradient;
  };
  try {
    await receiveBulk(stream, {
      maxBytes: Number.MAX_SAFE_INTEGER,
      onHeader: (header) => {
        lease = find(header);
        if (lease && header.runId !== lease.job.runId) throw new Dd2Error('STALE_LEASE', 'this lease is one of another run', { field: 'run_id' });
        const expected = gradient().size * 4;
        if (header.totalBytes !== expected || header.dtype !== 'float32') {
          throw new Dd2Error('PROTOCOL', `a gradient of ${header.totalBytes} bytes of ${header.dtype ?? 'unknown type'} arrived, ${expected} bytes of float32 were expected`, { field: 'total_bytes' });
        }
      },
      onChunk: async (data, offset) => {
        const { reduction, size } = gradient();
        const shard = offset / SHARD_BYTES;
        if (!Number.isInteger(shard) || data.byteLength !== shardLength(size, shard) * 4) {
          throw new Dd2Error('PROTOCOL', `a gradient chunk at byte ${offset} with ${data.byteLength} bytes is not a shard`, { field: 'offset', remedy: `Send chunks of ${SHARD_BYTES} bytes` });
        }
        if (!lease || !dispatcher.find(lease.id)) return;
        const adding = reduction.contribute(lease.span, shard, data);
        adding.catch(() => undefined); // heard of below, unless the stream breaks before
        added.push(adding);
        await added.at(-SHARDS_AHEAD);
      },
    });
    const finite = (await Promise.all(added)).every((shard) => shard);
    if (!lease || !dispatcher.find(lease.id)) return { accepted: false, reason: 'another worker was first' };
    dispatcher.gradientReceived(lease.id, finite);
    return { accepted: true, reason: '' };
  } catch (thrown) {
    const error = fromStatus(thrown);
    // A gradient that is wrong fails its lease; one that broke off does not: its worker reports that, or is lost.
    if (lease && (error.code === 'PROTOCOL' || error.code === 'INTERNAL')) {
      logger.warn({ lease: lease.id, err: error }, 'a gradient was refused');
      dispatcher.failed(lease.id, error);
    }
    throw error;
  }
}
