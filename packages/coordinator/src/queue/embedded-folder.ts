import { constants, existsSync } from 'node:fs';
import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Dd2Error } from '@dd2/core';

/** `epoch-7` while coordinator 7 works with it, `epoch-7-closed` once it has left it in order */
const NAME = /^epoch-(\d+)(-closed)?$/;
const DAMAGED = 'damaged-';

/**
 * The folder of the embedded database for the coordinator of this epoch: the newest one there is. A coordinator that did not
 * leave it in order may still live (stopped, cut off) and go on writing when it wakes up; so its folder is copied, not shared.
 * @returns a path, and whether nothing is there yet
 * @throws {Dd2Error} FENCED when a newer coordinator has taken it over
 */
export async function claimFolder(root: string, epoch: bigint): Promise<{ readonly folder: string; readonly fresh: boolean }> {
  await mkdir(root, { recursive: true });
  const found = (await readdir(root)).flatMap((name) => {
    const match = NAME.exec(name);
    return match?.[1] === undefined ? [] : [{ name, epoch: BigInt(match[1]), closed: match[2] !== undefined }];
  });
  const newest = found.reduce<(typeof found)[number] | undefined>((best, one) => (best && best.epoch >= one.epoch ? best : one), undefined);
  if (newest && newest.epoch > epoch) {
    throw new Dd2Error('FENCED', `coordinator ${newest.epoch} has taken over the queue`, { field: root, details: { epoch: Number(newest.epoch) } });
  }
  const folder = join(root, `epoch-${epoch}`);
  if (newest && join(root, newest.name) !== folder) {
    if (newest.closed) {
      await rename(join(root, newest.name), folder);
    } else {
      const copy = `${folder}.copy`;
      await rm(copy, { recursive: true, force: true });
      await cp(join(root, newest.name), copy, { recursive: true, mode: constants.COPYFILE_FICLONE });
      await rename(copy, folder);
    }
  }
  for (const name of await readdir(root)) {
    if (join(root, name) !== folder && !name.startsWith(DAMAGED)) await rm(join(root, name), { recursive: true, force: true });
  }
  return { folder, fresh: !existsSync(folder) };
}

/** Marks a folder as left in order. */
export async function leaveFolder(folder: string): Promise<void> {
  await rename(folder, `${folder}-closed`);
}

/** Keeps a folder that cannot be used, for whoever wants to look into it; only the latest one. @returns where it is now */
export async function setFolderAside(root: string, folder: string): Promise<string> {
  for (const name of await readdir(root)) {
    if (name.startsWith(DAMAGED)) await rm(join(root, name), { recursive: true, force: true });
  }
  const aside = join(root, `${DAMAGED}${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
  await rename(folder, aside);
  return aside;
}
