import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors } from '@dd2/assets';
import { describe, expect, it } from 'vitest';
import type { CheckpointTensor } from './checkpoint.js';
import { writeCheckpointFile } from './checkpoint-file.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const values = Float32Array.from({ length: 10 }, (_, i) => i / 3);
const tensors: Record<string, CheckpointTensor> = {
  z: { dtype: 'float32', shape: [2, 3], vector: 'generator', offset: 0, size: 6 },
  a: { dtype: 'float32', shape: [4], vector: 'generator', offset: 6, size: 4 },
};
const pieces = (_: string, offset: number, size: number): Uint8Array[] => [new Uint8Array(values.buffer, offset * 4, 3), new Uint8Array(values.buffer, offset * 4 + 3, size * 4 - 3)];

describe('writeCheckpointFile', () => {
  it('writes the tensors from their places in the vectors, and says what the file is', async () => {
    const path = join(await temporaryFolder(), 'file');
    const digest = writeCheckpointFile(path, tensors, pieces);
    const bytes = await readFile(path);
    expect(digest).toEqual({ sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length });
    const { tensors: read } = await readSafetensors(path, { expect: digest });
    expect(read).toEqual({ z: { dtype: 'float32', shape: [2, 3], data: values.slice(0, 6) }, a: { dtype: 'float32', shape: [4], data: values.slice(6) } });
  });

  it('refuses vectors that end early, and places that cannot be written', async () => {
    const folder = await temporaryFolder();
    expect(() => writeCheckpointFile(join(folder, 'short'), tensors, (_, offset) => [new Uint8Array(values.buffer, offset * 4, 4)])).toThrow('bytes of');
    expect(() => writeCheckpointFile(join(folder, 'absent', 'file'), tensors, pieces)).toThrow('ENOENT');
    await writeFile(join(folder, 'there'), '');
    expect(() => writeCheckpointFile(join(folder, 'there'), tensors, pieces)).toThrow('EEXIST');
  });
});
