import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { systemCode, unwritableFile } from './file-errors.js';

/**
 * Fills a folder so that it exists completely or not at all: `fill` writes to a temporary folder beside it, which is
 * renamed when everything is on disk. What stood there is removed afterwards, but only if it is empty or holds
 * `marker`, the file by which such folders are known; without a marker, whatever it is.
 * @throws {Dd2Error} INVALID_ARGUMENT when the folder holds something else, INTERNAL when the file system refuses
 */
export async function replaceFolder<T>(folder: string, marker: string | undefined, fill: (temporary: string) => Promise<T>): Promise<T> {
  const target = resolve(folder);
  const suffix = randomBytes(6).toString('hex');
  const temporary = `${target}.new-${suffix}`;
  const former = `${target}.old-${suffix}`;
  try {
    await requireReplaceable(target, marker);
    await mkdir(temporary, { recursive: true });
    const result = await fill(temporary);
    await syncFolder(temporary);
    const replaces = await requireReplaceable(target, marker);
    if (replaces) await rename(target, former);
    try {
      await rename(temporary, target);
    } catch (thrown) {
      if (replaces) await rename(former, target);
      throw thrown;
    }
    await syncFolder(dirname(target));
    await rm(former, { recursive: true, force: true });
    return result;
  } catch (thrown) {
    await rm(temporary, { recursive: true, force: true });
    throw unwritableFile(target, thrown);
  }
}

/**
 * Removes a folder so that it exists completely or not at all, even when this is interrupted: it is renamed first. Nothing
 * happens when there is none.
 */
export async function removeFolder(folder: string): Promise<void> {
  const target = resolve(folder);
  const former = isLeftover(target) ? target : `${target}.old-${randomBytes(6).toString('hex')}`;
  try {
    if (former !== target) {
      await rename(target, former);
      await syncFolder(dirname(target)); // before a file of it is gone
    }
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return;
    throw thrown;
  }
  await rm(former, { recursive: true, force: true });
}

/** Is this the name of a folder that an interrupted `replaceFolder` or `removeFolder` has left behind? */
export function isLeftover(name: string): boolean {
  return /\.(?:new|old)-[0-9a-f]{12}$/.test(name);
}

/** Does the folder exist? */
async function requireReplaceable(folder: string, marker: string | undefined): Promise<boolean> {
  try {
    if (marker === undefined) return await lstat(folder).then(() => true);
    const names = await readdir(folder);
    if (names.length === 0 || names.includes(marker)) return true;
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return false;
    throw thrown;
  }
  throw new Dd2Error('INVALID_ARGUMENT', `${folder} holds other files and no ${marker}`, { field: folder, remedy: 'Choose an empty or a new folder' });
}

/** Flushes a folder's entries, so that a rename inside it survives a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}
