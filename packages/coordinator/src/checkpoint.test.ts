import { cp, mkdir, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ParameterLayout } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { checkpointVectors, listCheckpoints, loadCheckpoint, retainCheckpoints, saveCheckpoint, type CheckpointHeader, type CheckpointVectors } from './checkpoint.js';
import { RunFolder } from './run-folder.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const layout: ParameterLayout = {
  network: 'generator',
  size: 20,
  tensors: [
    { name: 'a.weight', shape: [3, 4], offset: 0, size: 12 },
    { name: 'b', shape: [8], offset: 12, size: 8 },
  ],
};
const files = ['generator.safetensors', 'generator_ema.safetensors', 'guidance.safetensors', 'manifest.json', 'optimizer.safetensors'];

function header(update: number): CheckpointHeader {
  return { runId: 'run', specSha256: 'spec', update, phase: 'tune', generatorUpdates: 0, versions: { generator: update, guidance: 1 }, skippedUpdates: 2, skippedInARow: 1 };
}

function vectors(seed: number): CheckpointVectors {
  // every kind of float32 that a vector may hold
  const special = [0, -0, 1e-45, 3.4e38, -1 / 3];
  return Object.fromEntries(checkpointVectors.map((name, k) => [name, Float32Array.from({ length: layout.size }, (_, i) => special[i] ?? Math.sin(seed + k * 31 + i))])) as CheckpointVectors;
}

async function runFolder(...updates: number[]): Promise<RunFolder> {
  const folder = new RunFolder(await temporaryFolder(), 'run');
  await folder.create();
  for (const update of updates) await saveCheckpoint(folder, layout, header(update), vectors(update));
  return folder;
}

describe('checkpoints', () => {
  it('come back with the same bits', async () => {
    const folder = await runFolder(7);
    const { manifest, vectors: loaded } = await loadCheckpoint(folder, layout, 7);
    expect(manifest).toMatchObject(header(7));
    for (const name of checkpointVectors) expect(Buffer.from(loaded[name].buffer, loaded[name].byteOffset, loaded[name].byteLength).toString('hex')).toBe(Buffer.from(vectors(7)[name].buffer).toString('hex'));
    expect((await readdir(folder.file('checkpoints', '7'))).sort()).toEqual(files);
  });

  it('detect every truncation and every flipped bit', async () => {
    const folder = await runFolder(7);
    const path = folder.file('checkpoints', '7');
    const whole = `${path}.whole`;
    await cp(path, whole, { recursive: true });
    let random = 1;
    const next = (below: number): number => {
      random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    for (let damage = 0; damage < 120; damage++) {
      const name = files[damage % files.length] ?? '';
      const file = join(path, name);
      const { size } = await stat(file);
      if (damage % 3 === 0) await truncate(file, next(size));
      else {
        const handle = await open(file, 'r+');
        const at = next(size);
        const byte = Buffer.alloc(1);
        await handle.read(byte, 0, 1, at);
        byte[0] = (byte[0] ?? 0) ^ (1 << next(8));
        await handle.write(byte, 0, 1, at);
        await handle.close();
      }
      await expect(loadCheckpoint(folder, layout, 7), `damage ${damage} to ${name}`).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
      await cp(join(whole, name), file);
    }
    await expect(loadCheckpoint(folder, layout, 7)).resolves.toBeDefined();
  });

  it.each(files)('are not loaded without %s', async (name) => {
    const folder = await runFolder(7);
    await rm(folder.file('checkpoints', '7', name));
    await expect(loadCheckpoint(folder, layout, 7)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it('are not loaded from the folder of another update, nor into another network', async () => {
    const folder = await runFolder(7);
    await cp(folder.file('checkpoints', '7'), folder.file('checkpoints', '8'), { recursive: true });
    await expect(loadCheckpoint(folder, layout, 8)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    const smaller: ParameterLayout = { ...layout, size: 12, tensors: layout.tensors.slice(0, 1) };
    await expect(loadCheckpoint(folder, smaller, 7)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it('are listed newest first; what an interrupted save has left is none', async () => {
    const folder = await runFolder(2, 10);
    await mkdir(folder.file('checkpoints', '11.4711.tmp'));
    expect(await listCheckpoints(folder)).toEqual([10, 2]);
    expect(await listCheckpoints(new RunFolder(await temporaryFolder(), 'none'))).toEqual([]);
  });

  it('replace an interrupted save of the same update', async () => {
    const folder = await runFolder();
    await mkdir(folder.file('checkpoints', `7.${process.pid}.tmp`));
    await writeFile(folder.file('checkpoints', `7.${process.pid}.tmp`, 'stale'), '');
    await saveCheckpoint(folder, layout, header(7), vectors(7));
    expect((await readdir(folder.file('checkpoints', '7'))).sort()).toEqual(files);
    await saveCheckpoint(folder, layout, header(7), vectors(8)); // and a complete one of it
    expect((await loadCheckpoint(folder, layout, 7)).vectors.generator).toEqual(vectors(8).generator);
  });

  it('are kept: the last ones and those that are held; leftovers are removed', async () => {
    const folder = await runFolder(1, 2, 3, 4, 5);
    await mkdir(folder.file('checkpoints', '6.4711.tmp'));
    await retainCheckpoints(folder, 2, new Set([2]));
    expect((await readdir(folder.file('checkpoints'))).sort()).toEqual(['2', '4', '5']);
  });

  it('write manifests that a person can read', async () => {
    const folder = await runFolder(7);
    const manifest = JSON.parse(await readFile(folder.file('checkpoints', '7', 'manifest.json'), 'utf8')) as Record<string, unknown>;
    expect(Object.keys(manifest)).toEqual(['format', 'runId', 'specSha256', 'update', 'phase', 'generatorUpdates', 'versions', 'skippedUpdates', 'skippedInARow', 'createdAt', 'files', 'sha256']);
  });
});
