import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { z } from 'zod';
import { isAlive } from './local-exchange.js';

const FILE = 'coordinator.lock';
const holderSchema = z.object({ host: z.string(), pid: z.number().int().positive() });

/**
 * Claims a data folder for this process: two coordinators would advance the same run and spoil each other's files. The claim
 * of a process of this machine that is gone is taken over.
 * @returns gives the folder free
 * @throws {Dd2Error} RUN_CONFLICT naming the process that holds it, INVALID_ARGUMENT when the folder cannot be made
 */
export async function claimDataFolder(dataDir: string): Promise<() => Promise<void>> {
  const file = join(dataDir, FILE);
  const made = await mkdir(dataDir, { recursive: true }).catch((cause: unknown) => {
    throw new Dd2Error('INVALID_ARGUMENT', `the data folder cannot be made: ${cause instanceof Error ? cause.message : String(cause)}`, {
      field: dataDir,
      remedy: 'Choose another --data-dir',
      cause,
    });
  });
  for (;;) {
    try {
      await writeFile(file, JSON.stringify({ host: hostname(), pid: process.pid }), { flag: 'wx' });
      return async () => {
        await rm(file, { force: true });
        // A folder that was made for nothing goes again; one that is in use by now is not empty.
        if (made !== undefined) await rmdir(dataDir).catch(() => undefined);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readHolder(file);
    if (holder && holder.host === hostname() && holder.pid !== process.pid && isAlive(holder.pid)) {
      throw new Dd2Error('RUN_CONFLICT', `process ${holder.pid} already works on this data folder`, {
        field: dataDir,
        remedy: 'Use its coordinator (dd2 run ... --server), wait for it, or choose another --data-dir',
      });
    }
    await rm(file, { force: true });
  }
}

async function readHolder(file: string): Promise<z.infer<typeof holderSchema> | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}
