import { Dd2Error } from '@dd2/core';
import { createClient, RunService, type ServiceClient } from '@dd2/proto';

export type RunClient = ServiceClient<typeof RunService>;

/** Calls `use` with a connected client, and closes it. @throws {Dd2Error} UNAVAILABLE when nothing answers */
export async function withRunClient<T>(server: string, use: (client: RunClient) => Promise<T>): Promise<T> {
  const client = createClient(RunService, server);
  try {
    await client.ready(3_000).catch((cause: unknown) => {
      throw new Dd2Error('UNAVAILABLE', `no coordinator answers at ${server}`, { remedy: 'Start one with `dd2 up`, or name another with --server', cause });
    });
    return await use(client);
  } finally {
    client.close();
  }
}
