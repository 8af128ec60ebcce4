import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { formatBytes } from '../render/format.js';
import type { Finding } from './finding.js';

export interface DiskSpeed {
  readonly freeBytes: number;
  /** of a large file, until it is on disk */
  readonly writeBytesPerSecond: number;
  /** median of small files, each until it is on disk */
  readonly syncMs: number;
}

const LARGE_BYTES = 32 << 20;
const BLOCK_BYTES = 1 << 20;
const SMALL_FILES = 9;

const LEAST_FREE_BYTES = 500e6;
const ENOUGH_FREE_BYTES = 2e9;
const SLOW_BYTES_PER_SECOND = 20e6;
const SLOW_SYNC_MS = 50;

/** The folder itself, or the nearest one above it that there is. */
export function existingFolder(folder: string): string {
  const absolute = path.resolve(folder);
  return existsSync(absolute) || path.dirname(absolute) === absolute ? absolute : existingFolder(path.dirname(absolute));
}

/** Writes to a folder of its own on the same file system, and removes it. @throws the system's error where that cannot be done */
export async function measureDisk(folder: string): Promise<DiskSpeed> {
  const existing = existingFolder(folder);
  const { bavail, bsize } = await statfs(existing);
  const freeBytes = bavail * bsize;
  const temporary = await mkdtemp(path.join(existing, '.dd2-doctor-'));
  try {
    const block = Buffer.alloc(BLOCK_BYTES, 0x5a);
    const large = Math.min(LARGE_BYTES, Math.max(BLOCK_BYTES, Math.floor(freeBytes / 4)));
    const started = performance.now();
    await using file = await open(path.join(temporary, 'large'), 'w');
    for (let written = 0; written < large; written += block.length) await file.write(block);
    await file.sync();
    const writeBytesPerSecond = large / ((performance.now() - started) / 1_000);
    const times: number[] = [];
    for (let i = 0; i < SMALL_FILES; i++) {
      const before = performance.now();
      await using small = await open(path.join(temporary, `small-${i}`), 'w');
      await small.write(block, 0, 4_096);
      await small.sync();
      times.push(performance.now() - before);
    }
    return { freeBytes, writeBytesPerSecond, syncMs: times.sort((a, b) => a - b)[SMALL_FILES >> 1] ?? NaN };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** The folder cannot be written by design: an image's files, for example. */
const readOnly = new Set(['EROFS', 'EACCES', 'EPERM']);

/**
 * Whether runs can be written to the data folder, and how fast.
 * @param named whether the folder was chosen: one that nobody asked for need not be writable, a worker has none
 */
export async function checkDisk(dataDir: string, named: boolean, measure: (folder: string) => Promise<DiskSpeed> = measureDisk): Promise<Finding> {
  const check = 'disk';
  let speed: DiskSpeed;
  try {
    speed = await measure(dataDir);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    if (!named && thrown instanceof Error && 'code' in thrown && readOnly.has(String(thrown.code))) {
      return { check, status: 'warning', message: `${path.resolve(dataDir)} cannot be written (${String(thrown.code)})`, remedy: 'Name a data folder with --data-dir where runs are kept (coordinator, `dd2 train`); a worker needs none' };
    }
    return { check, status: 'problem', message: `${dataDir} cannot be written: ${why}`, remedy: 'Choose another --data-dir, or ask whoever owns the folder for the right to write there' };
  }
  const { freeBytes, writeBytesPerSecond, syncMs } = speed;
  const message = `${dataDir}: ${formatBytes(freeBytes)} free, writes ${formatBytes(writeBytesPerSecond)}/s, ${syncMs.toFixed(1)} ms until a small file is on disk`;
  const details = { freeBytes, writeBytesPerSecond: Math.round(writeBytesPerSecond), syncMs: Number(syncMs.toFixed(2)) };
  const found = (status: Finding['status'], remedy?: string): Finding => ({ check, status, message, remedy, details });
  if (freeBytes < LEAST_FREE_BYTES) return found('problem', 'Make room, or choose another --data-dir: checkpoints that cannot be written are lost when the machine is');
  if (freeBytes < ENOUGH_FREE_BYTES) return found('warning', 'Make room before a long run: each checkpoint of a large model is several times its size');
  if (writeBytesPerSecond < SLOW_BYTES_PER_SECOND || syncMs > SLOW_SYNC_MS) return found('warning', 'Checkpoints and events will be slow here: put the data folder on a local disk (--data-dir)');
  return found('ok');
}
