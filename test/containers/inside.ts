import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { z } from 'zod';
import { must, podman, run } from './podman.js';

/** What the kernel says of the first process of a container. */
export interface ProcessSecurity {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  /** every set of capabilities, by name */
  readonly capabilities: Readonly<Record<string, bigint>>;
  readonly noNewPrivileges: boolean;
  /** 2: a filter */
  readonly seccomp: number;
  readonly readOnlyRoot: boolean;
}

/** Reads it in the container itself. */
export async function processSecurity(containerId: string): Promise<ProcessSecurity> {
  const status = new Map((await podman('exec', containerId, 'cat', '/proc/1/status')).split('\n').map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1).trim()] as const));
  const numbers = (name: string): number[] => (status.get(name) ?? '').split(/\s+/).filter((text) => text !== '').map((text) => z.coerce.number().int().parse(text));
  const rootMount = (await podman('exec', containerId, 'cat', '/proc/1/mounts')).split('\n').find((line) => line.split(' ')[1] === '/');
  return {
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: numbers('Groups'),
    capabilities: Object.fromEntries(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => [name, BigInt(`0x${status.get(name)}`)])),
    noNewPrivileges: status.get('NoNewPrivs') === '1',
    seccomp: Number(status.get('Seccomp')),
    readOnlyRoot: rootMount?.split(' ')[3]?.split(',').includes('ro') ?? false,
  };
}

/** Folders outside of the mounts in which a container's user can make a file; none is expected. */
export async function writableFolders(containerId: string): Promise<string[]> {
  const script = 'for folder in / /etc /home /opt /opt/dd2 /root /run /srv /usr /usr/local /usr/local/bin /var /var/tmp; do if ( : > "$folder/dd2-try" ) 2>/dev/null; then echo "$folder"; fi; done';
  return (await podman('exec', containerId, 'sh', '-c', script)).split('\n').filter((line) => line !== '');
}

/** TCP ports that listen to others in the network namespace of a container. */
export async function listeningPorts(pid: number): Promise<number[]> {
  const lines = (await must('nsenter', ['--net', '--target', String(pid), 'ss', '--no-header', '--listening', '--tcp', '--numeric'])).split('\n').filter((line) => line !== '');
  const addresses = lines.map((line) => line.split(/\s+/)[3] ?? '').filter((address) => !/^(127\.|\[::1\])/.test(address));
  return [...new Set(addresses.map((address) => z.coerce.number().int().parse(address.slice(address.lastIndexOf(':') + 1))))].sort((a, b) => a - b);
}

/** Whether a Node.js of a container can connect to a place, by name. */
export async function canConnect(containerId: string, host: string, port: number): Promise<boolean> {
  const script = `const s = require('net').connect(${port}, ${JSON.stringify(host)}); s.setTimeout(3000, () => process.exit(3)); s.on('error', () => process.exit(4)); s.on('connect', () => process.exit(0))`;
  const { code, stderr } = await run('podman', ['exec', containerId, 'node', '-e', script]);
  if (code !== 0 && code !== 3 && code !== 4) throw new Error(`node in ${containerId} ended with ${code}: ${stderr}`);
  return code === 0;
}

/** Says something to a port, over TLS or not, and returns what comes back until the other side ends, or within a second. */
export function say(words: string, host: string, port: number, tls: boolean): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket: Socket = tls ? connectTls({ host, port, rejectUnauthorized: false }) : connectPlain({ host, port });
    const end = (): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.setTimeout(1_000, end);
    socket.on(tls ? 'secureConnect' : 'connect', () => socket.write(words));
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
    socket.on('error', (error) => {
      heard += `error: ${error.message}`;
      end();
    });
    socket.on('end', end);
  });
}
