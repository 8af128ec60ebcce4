import { stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { namesIn } from '../run-folder.js';

/** Runs need the disk as well: so much of it stays free. */
const KEPT_FREE_BYTES = 64 * 1024 ** 2;

/** What bundles that are under way have announced, and what of it is on the disk already. */
export interface Announced {
  readonly totalBytes: number;
  readonly writtenBytes: number;
}

export interface Room {
  /** bytes that bundles may have together */
  readonly limitBytes: number;
  /** bytes that those have that are there or under way */
  readonly takenBytes: number;
  /** bytes of the disk that are free for another bundle; Infinity where nobody can tell */
  readonly diskBytes: number;
}

/** Bytes that one more bundle may have. */
export function roomFor({ limitBytes, takenBytes, diskBytes }: Room): number {
  return Math.max(0, Math.min(limitBytes - takenBytes, diskBytes));
}

/** @param isBundle which of the folder's entries are bundles */
export async function measureRoom(folder: string, limitBytes: number, announced: Iterable<Announced>, isBundle: (name: string) => boolean, freeBytes = freeBytesOf): Promise<Room> {
  let takenBytes = 0;
  let due = 0;
  for (const { totalBytes, writtenBytes } of announced) {
    takenBytes += totalBytes;
    due += Math.max(0, totalBytes - writtenBytes);
  }
  for (const name of (await namesIn(folder)).filter(isBundle)) takenBytes += await bytesIn(join(folder, name));
  return { limitBytes, takenBytes, diskBytes: (await freeBytes(folder)) - due - KEPT_FREE_BYTES };
}

/** @throws {Dd2Error} RESOURCE_EXHAUSTED saying what to make larger or emptier */
export function requireRoom(bytes: number, room: Room, folder: string): void {
  const { limitBytes, takenBytes, diskBytes } = room;
  if (bytes <= roomFor(room)) return;
  const others = takenBytes > 0 ? `, of which ${takenBytes} are taken` : '';
  if (bytes > limitBytes - takenBytes) {
    throw new Dd2Error('RESOURCE_EXHAUSTED', `the bundle has ${bytes} bytes; the coordinator takes bundles of ${limitBytes} bytes in all${others}`, {
      field: 'assets',
      remedy: 'Remove bundles that no run needs any more (`dd2 assets list`, `dd2 assets remove`), or start the coordinator with a larger --max-assets-gib',
    });
  }
  throw new Dd2Error('RESOURCE_EXHAUSTED', `the bundle has ${bytes} bytes; the coordinator's disk has room for ${Math.max(0, diskBytes)}`, { field: 'assets', remedy: `Free space where ${folder} is, or make the volume larger` });
}

/** Bytes of the files in a folder. */
export async function bytesIn(folder: string): Promise<number> {
  const sizes = (await namesIn(folder)).map((name) => stat(join(folder, name)).then(({ size }) => size, () => 0));
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Of the folder, or where it will be. Some file systems do not tell, or say that they have no blocks at all. */
async function freeBytesOf(folder: string): Promise<number> {
  const found = statfs(folder).catch(() => statfs(dirname(folder)));
  return found.then(({ blocks, bavail, bsize }) => (blocks > 0 ? bavail * bsize : Infinity), () => Infinity);
}
