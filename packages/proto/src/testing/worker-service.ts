import { setTimeout as sleep } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import { createClient, type ClientOptions } from '../client.js';
import { WorkerService } from '../gen/dd2/v1/worker_pb.js';
import type { Handlers, ServiceClient } from '../rpc-types.js';
import { createServer, type RpcServer, type ServerOptions, type ServicePolicy } from '../server.js';

export interface RunningService {
  readonly server: RpcServer;
  readonly port: number;
  /** closed with the service */
  readonly connect: (options?: ClientOptions & { readonly port?: number }) => ServiceClient<typeof WorkerService>;
  readonly close: () => Promise<void>;
}

const unexpected = (): Promise<never> => Promise.reject(new Dd2Error('INTERNAL', 'the test does not expect this call'));

/** A WorkerService on loopback whose methods are the given ones; calls of others fail. */
export async function startWorkerService(handlers: Partial<Handlers<typeof WorkerService>>, options: ServerOptions = {}, policy?: ServicePolicy): Promise<RunningService> {
  const server = createServer(options);
  server.add(WorkerService, { control: unexpected, getProgram: unexpected, getAsset: unexpected, getParameters: unexpected, pushGradient: unexpected, pushResult: unexpected, ...handlers }, policy);
  const port = await server.listen('127.0.0.1:0');
  const clients: ServiceClient<typeof WorkerService>[] = [];
  return {
    server,
    port,
    connect({ port: otherPort, ...clientOptions } = {}) {
      const client = createClient(WorkerService, `127.0.0.1:${otherPort ?? port}`, clientOptions);
      clients.push(client);
      return client;
    },
    async close() {
      for (const client of clients) client.close();
      await server.close();
    },
  };
}

/** Resolves with the value once it has stopped changing. */
export async function settled(read: () => number): Promise<number> {
  let last = read();
  for (let same = 0; same < 6; ) {
    await sleep(40);
    const now = read();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
  }
  return last;
}

export interface Gate {
  readonly opened: Promise<void>;
  readonly open: () => void;
}

export function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
