import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { z } from 'zod';
import type { Finding } from './finding.js';

export interface PortUse {
  readonly port: number;
  /** what listens there by default */
  readonly purpose: string;
  /** option that chooses another one */
  readonly option: string;
}

/** Who listens, as far as that can be found out; undefined for a port that is free. */
export type FindListener = (port: number) => Promise<string | undefined>;

/** Whether the ports that a coordinator takes by default are free. One that a coordinator of dd2 has is as it should be. */
export async function checkPort({ port, purpose, option }: PortUse, find: FindListener = findListener): Promise<Finding> {
  const check = `port ${port}`;
  const listener = await find(port);
  const details = { port, free: listener === undefined };
  if (listener === undefined) return { check, status: 'ok', message: `free for ${purpose}`, details };
  if (/\bdd2\b/.test(listener)) return { check, status: 'ok', message: `${listener} listens there`, details };
  return { check, status: 'warning', message: `taken by ${listener}: ${purpose} cannot listen there`, remedy: `End that, or start the coordinator with ${option} NUMBER`, details };
}

async function findListener(port: number): Promise<string | undefined> {
  const error = await tryListening(port);
  if (error === undefined) return undefined;
  if (error.code === 'EACCES') return 'nobody, but this user may not listen there';
  return (await dd2At(port)) ?? processAt(port) ?? 'another program';
}

function tryListening(port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const ANSWER_MS = 1_500;

/** What a coordinator answers at `/healthz`. */
const liveness = z.strictObject({ ok: z.boolean(), reasons: z.array(z.string()) });

async function dd2At(port: number): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' });
    return liveness.safeParse(await response.json()).success ? 'the page of a dd2 coordinator' : undefined;
  } catch {
    return undefined; // gRPC, TLS, or nothing that speaks HTTP
  }
}

/** `process 4711 (node)` of this machine (Linux), where this user may look. */
function processAt(port: number): string | undefined {
  try {
    const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(readFileSync(table, 'utf8'), port)));
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (!socketsOf(pid).some((inode) => inodes.has(inode))) continue;
      const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const dd2 = args.some((argument) => /(?:^|\/)dd2(?:\.mjs)?$/.test(argument));
      return dd2 ? `a dd2 process (${pid})` : `process ${pid} (${program.split('/').at(-1)})`;
    }
  } catch {
    // not Linux
  }
  return undefined;
}

/** Inodes of the sockets that listen on a port: fields 2 (address), 4 (state, 0A is LISTEN) and 10 of the table, see proc(5). */
export function listeningInodes(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      return fields[1]?.endsWith(`:${wanted}`) === true && fields[3] === '0A' ? [fields[9] ?? ''] : [];
    });
}

/** Those of other users' processes cannot be seen. */
function socketsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return [];
  }
}
