import { readFileSync } from 'node:fs';
import { timestampFromDate, type GetClusterResponseSchema, type MessageInitShape } from '@dd2/proto';
import type { QueueStore } from '../queue/index.js';

/** What is known of a coordinator from its start on. */
export interface ClusterOptions {
  readonly clusterId: string;
  readonly epoch: bigint;
  readonly maxRuns: number;
  readonly storeKind: QueueStore['kind'];
}

/** What a coordinator is, and how it does. */
export class Cluster {
  readonly version = ownVersion();
  readonly startedAt = new Date();
  /** once it is open */
  store: Pick<QueueStore, 'state'> | undefined;

  constructor(readonly options: ClusterOptions) {}

  /** Whether jobs are taken from the queue store. */
  get queueAvailable(): boolean {
    return this.store?.state === 'up';
  }

  message(): MessageInitShape<typeof GetClusterResponseSchema> {
    const { clusterId, epoch, maxRuns, storeKind } = this.options;
    return {
      version: this.version,
      clusterId,
      epoch,
      startedAt: timestampFromDate(this.startedAt),
      queueStore: storeKind,
      queueAvailable: this.queueAvailable,
      maxRuns,
      now: timestampFromDate(new Date()),
    };
  }
}

/** The packages of dd2 are released together: the version of this one is that of all. */
function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}
