import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { encodeSafetensorsFrom, unwritableFile, type FileDigest } from '@dd2/assets';
import type { CheckpointTensor, CheckpointVector } from './checkpoint.js';

/** The bytes of elements [offset, offset + size) of a vector, in pieces. */
export type RangeOf = (vector: CheckpointVector, offset: number, size: number) => Iterable<Uint8Array>;

/**
 * Writes a new file of a checkpoint; when it returns the bytes are on the disk (fsync). It blocks: on purpose, since a thread that
 * waits by itself takes nothing from the thread pool that the whole process shares, however slow the disk is.
 * @throws {Dd2Error} INTERNAL when the file system refuses
 */
export function writeCheckpointFile(path: string, tensors: Readonly<Record<string, CheckpointTensor>>, rangeOf: RangeOf): FileDigest {
  const { bytes, chunks } = encodeSafetensorsFrom(tensors, (_, { vector, offset, size }) => rangeOf(vector, offset, size));
  const hash = createHash('sha256');
  try {
    const file = openSync(path, 'wx');
    try {
      let total = 0;
      for (const chunk of chunks) {
        hash.update(chunk);
        for (let written = 0; written < chunk.byteLength; ) written += writeSync(file, chunk, written);
        total += chunk.byteLength;
      }
      if (total !== bytes) throw new RangeError(`the vectors have ${total} bytes of ${bytes}`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    throw unwritableFile(path, thrown);
  }
  return { sha256: hash.digest('hex'), bytes };
}
