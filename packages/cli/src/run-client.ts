import { Dd2Error } from '@dd2/core';
import { createClient, fromStatus, RunService, type Run, type ServiceClient } from '@dd2/proto';
import { connect, type ServerOptions } from './connection.js';
import { isElsewhere, parseServer } from './server-address.js';

export type RunClient = ServiceClient<typeof RunService>;

/** Calls `use` with a connected client, and closes it. @throws {Dd2Error} UNAVAILABLE when nothing answers */
export async function withRunClient<T>(options: ServerOptions, use: (client: RunClient) => Promise<T>): Promise<T> {
  const { server } = options;
  const client = createClient(RunService, parseServer(server).address, connect('api', server, options));
  try {
    await client.ready(3_000).catch((thrown: unknown) => {
      throw unreachable(server, thrown);
    });
    return await use(client);
  } finally {
    client.close();
  }
}

/** @throws {Dd2Error} RUN_NOT_FOUND */
export async function findRun(client: RunClient, runId: string): Promise<Run> {
  const { run } = await client.getRun({ runId });
  if (run === undefined) throw new Dd2Error('PROTOCOL', 'the coordinator answered without the run', { details: { run: runId } });
  return run;
}

/** What an answer may lack because the coordinator is of an earlier version; undefined then. */
export async function ifKnown<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (thrown) {
    const { code } = fromStatus(thrown);
    if (code === 'UNSUPPORTED_OPERATION' || code === 'PROTOCOL') return undefined;
    throw thrown;
  }
}

/** What TLS has to say tells more than that nobody answers. */
function unreachable(server: string, thrown: unknown): unknown {
  if (thrown instanceof Dd2Error && thrown.field === 'tls') return thrown;
  const remedy = isElsewhere(server) ? 'Look whether the address is right and, if it goes through `kubectl port-forward`, whether that is running' : 'Start one with `dd2 up`, or name another with --server';
  return new Dd2Error('UNAVAILABLE', `no coordinator answers at ${server}`, { remedy, cause: thrown });
}
