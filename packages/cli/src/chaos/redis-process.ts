import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

export const REDIS_PROGRAM = 'redis-server';

/** A Redis of its own on this machine's loopback, that keeps what it holds in `folder`. */
export function spawnRedis(port: number, folder: string, log: number): ChildProcess {
  const settings = { port, bind: '127.0.0.1', dir: folder, appendonly: 'yes', save: '', 'maxmemory-policy': 'noeviction' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return spawn(REDIS_PROGRAM, args, { stdio: ['ignore', log, log] });
}

/** Is there a program of that name that this process could start? */
export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
