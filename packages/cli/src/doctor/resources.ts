import { availableParallelism, freemem, totalmem } from 'node:os';
import { formatBytes } from '../render/format.js';
import type { Finding } from './finding.js';

export interface Resources {
  readonly cores: number;
  /** of the machine, or of the container where that is less */
  readonly memoryBytes: number;
  readonly freeBytes: number;
}

/** What a coordinator and two workers take on the laptop default, with room for a page cache. */
const LEAST_MEMORY_BYTES = 2e9;
const LEAST_FREE_BYTES = 1e9;

export function thisMachine(): Resources {
  const [limit, inUse] = [process.constrainedMemory(), process.memoryUsage.rss()];
  // 0 or a huge number means that there is no limit.
  const limited = limit > 0 && limit < totalmem();
  return { cores: availableParallelism(), memoryBytes: limited ? limit : totalmem(), freeBytes: limited ? Math.min(freemem(), limit - inUse) : freemem() };
}

/** Whether there is enough to compute with. */
export function checkResources({ cores, memoryBytes, freeBytes }: Resources = thisMachine()): Finding[] {
  const details = { cores, memoryBytes, freeBytes };
  const processor: Finding =
    cores >= 2
      ? { check: 'processor', status: 'ok', message: `${cores} cores`, details: { cores } }
      : { check: 'processor', status: 'warning', message: 'one core: coordinator and worker take turns', remedy: 'Give it a second core, or run the worker elsewhere', details: { cores } };
  const text = `${formatBytes(memoryBytes)} of memory, ${formatBytes(freeBytes)} free`;
  const short = memoryBytes < LEAST_MEMORY_BYTES || freeBytes < LEAST_FREE_BYTES;
  return [processor, short ? { check: 'memory', status: 'warning', message: text, remedy: 'End other programs, or run fewer workers', details } : { check: 'memory', status: 'ok', message: text, details }];
}
