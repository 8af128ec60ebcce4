import { createClient, WorkerService, type ClientOptions, type ServiceClient } from '@dd2/proto';

/**
 * A coordinator that hangs, or that the network lost in one direction, is noticed within five seconds: a connection is probed
 * every second, and given up when a probe is not answered for four.
 */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 1_000, 'grpc.keepalive_timeout_ms': 4_000 };

export type ConnectionOptions = Pick<ClientOptions, 'tls' | 'token'>;

/** The calls that move bulk data. */
export type BulkCalls = Pick<ServiceClient<typeof WorkerService>, 'getProgram' | 'getAsset' | 'getParameters' | 'pushGradient' | 'pushResult'>;

/** The two connections of a session. */
export interface Connection {
  readonly control: ReturnType<ServiceClient<typeof WorkerService>['control']>;
  readonly bulk: BulkCalls;
  /** Resolves when every gradient that was sent has been answered. */
  readonly uploaded: () => Promise<unknown>;
  /** Ends everything at once, bulk calls that are under way included. */
  readonly close: () => void;
}

/** Bulk streams have a connection of their own: heartbeats and leases do not queue behind them. */
export function connect(coordinator: string, options: ConnectionOptions): Connection {
  const controlClient = createClient(WorkerService, coordinator, { ...options, channelOptions: KEEPALIVE });
  const bulkClient = createClient(WorkerService, coordinator, { ...options, channelOptions: KEEPALIVE });
  const over = new AbortController();
  const { signal } = over;
  const control = controlClient.control();
  const uploads = new Set<Promise<unknown>>();
  return {
    control,
    bulk: {
      getProgram: (request) => bulkClient.getProgram(request, { signal }),
      getAsset: (request) => bulkClient.getAsset(request, { signal }),
      getParameters: (request) => bulkClient.getParameters(request, { signal }),
      pushGradient: () => {
        const upload = bulkClient.pushGradient({ signal });
        const answered: Promise<unknown> = upload.response.catch(() => undefined).finally(() => uploads.delete(answered));
        uploads.add(answered);
        return upload;
      },
      pushResult: () => bulkClient.pushResult({ signal }),
    },
    uploaded: () => Promise.all(uploads),
    close: () => {
      control.cancel();
      over.abort();
      controlClient.close();
      bulkClient.close();
    },
  };
}
