import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must, podman } from './podman.js';

const PREFIX = 'dd2-containers';
const OWNED = new RegExp(`^${PREFIX}-(\\d+)`);

/** What this process calls all that it makes, so that a later one can tell whose it is. */
export const ownName = (): string => `${PREFIX}-${process.pid}`;

/** Removes what processes left behind that were killed before they could clean up. */
export async function removeLeftovers(): Promise<void> {
  for (const pod of await lines('pod', 'ls')) if (isAbandoned(pod)) await podman('pod', 'rm', '--force', '--time', '0', pod);
  for (const network of await lines('network', 'ls')) if (isAbandoned(network)) await podman('network', 'rm', '--force', network);
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const folder of (await readdir(tmpdir())).filter(isAbandoned).map((name) => join(tmpdir(), name))) {
    for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`))) await must('umount', [mount]);
    await rm(folder, { recursive: true, force: true });
  }
}

async function lines(...command: string[]): Promise<string[]> {
  return (await podman(...command, '--format', '{{.Name}}')).split('\n').filter((line) => line !== '');
}

function isAbandoned(name: string): boolean {
  const owner = OWNED.exec(name)?.[1];
  if (owner === undefined) return false;
  try {
    process.kill(Number(owner), 0);
    return false;
  } catch {
    return true;
  }
}
