import { readdir } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import path from 'node:path';
import { createClient, hostOf, RunService, RunState, type Run } from '@dd2/proto';
import type { Command } from 'commander';
import { connect } from '../connection.js';
import { stateName } from '../render/run-outcome.js';
import { parseServer } from '../server-address.js';
import type { Candidate } from './candidates.js';

/** Who waits for a completion waits for no server that is away. */
const WAIT_MS = 1_000;
const MOST = 200;
const DATA_DIR = '.dd2';

/** States of the runs that a command can do something about; all where it is not here. */
const suited: Readonly<Record<string, readonly RunState[]>> = {
  pause: [RunState.QUEUED, RunState.RUNNING],
  resume: [RunState.PAUSED, RunState.FAILED],
  cancel: [RunState.QUEUED, RunState.RUNNING, RunState.PAUSING, RunState.PAUSED],
};

/** Ids of runs: from the coordinator that the command line names, or from the data folder where the command works without one. */
export async function findRunIds(command: Command, words: readonly string[]): Promise<readonly Candidate[]> {
  const value = (name: string): string | undefined => {
    const at = words.lastIndexOf(name);
    return at < 0 ? words.findLast((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) : words[at + 1];
  };
  try {
    const dataDir = value('--data-dir');
    if (!command.options.some(({ long }) => long === '--server')) return await idsOfFolder(dataDir ?? DATA_DIR);
    const server = value('--server') ?? process.env['DD2_SERVER'] ?? '127.0.0.1:7070';
    const [tokenFile, certs] = [value('--token-file') ?? process.env['DD2_TOKEN_FILE'], value('--certs') ?? process.env['DD2_CERTS']];
    const options = { insecure: words.includes('--insecure'), ...(dataDir === undefined ? {} : { dataDir }), ...(tokenFile === undefined ? {} : { tokenFile }), ...(certs === undefined ? {} : { certs }) };
    // Nobody listens there: gRPC would go on dialling.
    const { address } = parseServer(server);
    if (!(await listens(address))) return [];
    const client = createClient(RunService, address, connect('api', server, options));
    try {
      await client.ready(WAIT_MS);
      const { runs } = await client.listRuns({ states: [...(suited[command.name()] ?? [])] }, { timeoutMs: WAIT_MS });
      return runs.slice(0, MOST).map(describe);
    } finally {
      client.close();
    }
  } catch {
    return []; // a completion has nowhere to complain
  }
}

function listens(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket({ host: hostOf(address), port: Number(address.slice(address.lastIndexOf(':') + 1)), timeout: WAIT_MS });
    const settle = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}

const describe = ({ runId, state, update, totalUpdates }: Run): Candidate => ({ value: runId, description: `${stateName(state)}, ${update} of ${totalUpdates} updates` });

async function idsOfFolder(dataDir: string): Promise<Candidate[]> {
  return (await readdir(path.join(dataDir, 'runs'))).slice(0, MOST).map((value) => ({ value, description: '' }));
}
