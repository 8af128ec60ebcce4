import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unflatten, writeSafetensors } from '@dd2/assets';
import { Dd2Error, type ParameterLayout } from '@dd2/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { checkpointPath, listCheckpoints, loadCheckpoint, loadNetwork, retainCheckpoints, saveCheckpoint, type CheckpointVectors } from './checkpoint.js';
import { RunFolder } from './run-folder.js';
import { bitsOf, header, vectorsOf, writeFrom } from './testing/checkpoint-vectors.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const disk = vi.hoisted((): { refuses: string | undefined } => ({ refuses: undefined }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return { ...real, readFile: (...args: Parameters<typeof real.readFile>) => (disk.refuses === undefined ? real.readFile(...args) : Promise.reject(Object.assign(new Error(disk.refuses), { code: disk.refuses }))) };
});
afterEach(() => {
  disk.refuses = undefined;
});

/** The tensors' names sort in another order than they lie in. */
const layout: ParameterLayout = {
  network: 'generator',
  size: 20,
  tensors: [
    { name: 'b.10', shape: [3, 4], offset: 0, size: 12 },
    { name: 'b.2', shape: [7], offset: 12, size: 7 },
    { name: 'a', shape: [], offset: 19, size: 1 },
  ],
};
const files = ['generator.safetensors', 'generator_ema.safetensors', 'guidance.safetensors', 'manifest.json', 'optimizer.safetensors'];
const vectors = (seed: number): CheckpointVectors => vectorsOf(layout, seed);
const permitted = (): Promise<void> => Promise.resolve();

async function save(folder: RunFolder, update: number, seed = update): Promise<void> {
  await saveCheckpoint(folder, layout, header(update), writeFrom(vectors(seed)), permitted);
}

async function runFolder(...updates: number[]): Promise<RunFolder> {
  const folder = new RunFolder(await temporaryFolder(), 'run');
  await folder.create();
  for (const update of updates) await save(folder, update);
  return folder;
}

/** What a run does when it is taken up: the newest checkpoint that verifies, and the ones that did not. */
async function resume(folder: RunFolder): Promise<{ update: number; bits: Record<string, string>; refused: number[] }> {
  const refused: number[] = [];
  for (const update of await listCheckpoints(folder)) {
    try {
      return { update, bits: bitsOf((await loadCheckpoint(folder, layout, update)).vectors), refused };
    } catch (error) {
      expect(error).toBeInstanceOf(Dd2Error);
      expect(error).toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
      refused.push(update);
    }
  }
  throw new Error('no checkpoint is left');
}

/** A seeded generator of whole numbers below `below`. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('checkpoints', () => {
  it('come back with the same bits', async () => {
    const folder = await runFolder(7);
    const { manifest, vectors: loaded } = await loadCheckpoint(folder, layout, 7);
    expect(manifest).toMatchObject(header(7));
    expect(bitsOf(loaded)).toEqual(bitsOf(vectors(7)));
    expect((await readdir(checkpointPath(folder, 7))).sort()).toEqual(files);
  });

  it('hold networks as safetensors that any reader of the format gives the tensors of', async () => {
    const folder = await runFolder(7);
    const plain = join(await temporaryFolder(), 'plain');
    for (const network of ['generator', 'generator_ema', 'guidance'] as const) {
      await writeSafetensors(plain, unflatten(layout, vectors(7)[network]));
      expect(Buffer.compare(await readFile(join(checkpointPath(folder, 7), `${network}.safetensors`)), await readFile(plain))).toBe(0);
    }
  });

  it('write manifests that a person can read', async () => {
    const folder = await runFolder(7);
    const manifest = JSON.parse(await readFile(join(checkpointPath(folder, 7), 'manifest.json'), 'utf8')) as Record<string, unknown>;
    expect(Object.keys(manifest)).toEqual(['format', 'runId', 'epoch', 'specSha256', 'update', 'phase', 'generatorUpdates', 'versions', 'skippedUpdates', 'skippedInARow', 'health', 'createdAt', 'files', 'sha256']);
  });

  it('of runs that knew no epochs are loaded', async () => {
    const folder = await runFolder(7);
    await reseal(folder, 7, ({ epoch: _, health: __, ...manifest }) => manifest);
    const { manifest } = await loadCheckpoint(folder, layout, 7);
    expect(manifest).toMatchObject({ update: 7, epoch: 0 });
    expect(manifest.health).toBeUndefined();
  });

  it('are listed newest first; what an interrupted save has left is none', async () => {
    const folder = await runFolder(2, 10);
    await mkdir(folder.file('checkpoints', '11.new-0123456789ab'));
    expect(await listCheckpoints(folder)).toEqual([10, 2]);
    expect(await listCheckpoints(new RunFolder(await temporaryFolder(), 'none'))).toEqual([]);
  });

  it('replace what stands in their place, whatever it is, and nothing before they are complete', async () => {
    const folder = await runFolder(7);
    await save(folder, 7, 8);
    expect((await loadCheckpoint(folder, layout, 7)).vectors.generator).toEqual(vectors(8).generator);
    await rm(join(checkpointPath(folder, 7), 'manifest.json'));
    await save(folder, 7, 9);
    await rm(checkpointPath(folder, 7), { recursive: true });
    await writeFile(checkpointPath(folder, 7), 'a file');
    await save(folder, 7, 10);
    expect(bitsOf((await loadCheckpoint(folder, layout, 7)).vectors)).toEqual(bitsOf(vectors(10)));

    const cut = async (path: string): Promise<never> => {
      await writeFile(path, 'half of it');
      throw new Dd2Error('INTERNAL', 'the disk is full');
    };
    await expect(saveCheckpoint(folder, layout, header(7), cut, permitted)).rejects.toThrow('the disk is full');
    expect(bitsOf((await loadCheckpoint(folder, layout, 7)).vectors)).toEqual(bitsOf(vectors(10)));
    expect(await readdir(folder.file('checkpoints'))).toEqual(['7']);
  });

  it('are not written by who may not, nor appear when that is known only at the end', async () => {
    const folder = await runFolder();
    const fenced = new Dd2Error('FENCED', 'stale');
    for (const allowed of [0, 1]) {
      let asked = 0;
      const verify = (): Promise<void> => (asked++ < allowed ? Promise.resolve() : Promise.reject(fenced));
      await expect(saveCheckpoint(folder, layout, header(7), writeFrom(vectors(7)), verify)).rejects.toBe(fenced);
      expect(await readdir(folder.file('checkpoints'))).toEqual([]);
    }
  });

  it('refuse a state of health that is too large to be one', async () => {
    const folder = await runFolder();
    await expect(saveCheckpoint(folder, layout, { ...header(7), health: 'x'.repeat(300_000) }, writeFrom(vectors(7)), permitted)).rejects.toThrow('more than');
    expect(await readdir(folder.file('checkpoints'))).toEqual([]);
  });

  it('give one network, verified, without the others', async () => {
    const folder = await runFolder(7);
    for (const name of ['generator', 'guidance', 'optimizer']) await rm(join(checkpointPath(folder, 7), `${name}.safetensors`));
    const { manifest, vector } = await loadNetwork(folder, layout, 7, 'generator_ema');
    expect(manifest.update).toBe(7);
    expect(vector).toEqual(vectors(7).generator_ema);
    await expect(loadNetwork(folder, layout, 7, 'generator')).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    await flipBit(join(checkpointPath(folder, 7), 'generator_ema.safetensors'), numbers(5));
    await expect(loadNetwork(folder, layout, 7, 'generator_ema')).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    await expect(loadNetwork(folder, layout, 8, 'generator_ema')).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it.each(['EMFILE', 'EACCES', 'ESTALE'])('are not passed over for %s, which says nothing about them', async (code) => {
    const folder = await runFolder(6, 7);
    disk.refuses = code;
    await expect(loadCheckpoint(folder, layout, 7)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    disk.refuses = 'EIO'; // a block that is gone is the checkpoint's
    await expect(loadCheckpoint(folder, layout, 7)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });
});

describe('damage to a checkpoint', () => {
  it('is detected in each of 1,000 random cases, and the run resumes from the one before', async () => {
    const folder = await runFolder(6, 7);
    const path = checkpointPath(folder, 7);
    const whole = join(await temporaryFolder(), 'whole');
    await cp(path, whole, { recursive: true });
    const good = { update: 6, bits: bitsOf(vectors(6)), refused: [7] };
    const next = numbers(1);
    const kinds = [flipBit, shorten, lengthen, overwrite] as const;
    for (let damage = 0; damage < 1_000; damage++) {
      const name = files[next(files.length)] ?? '';
      const kind = kinds[next(kinds.length)] ?? flipBit;
      await kind(join(path, name), next);
      expect(await resume(folder), `case ${damage}: ${kind.name} of ${name}`).toEqual(good);
      await copyFile(join(whole, name), join(path, name));
    }
    expect(await resume(folder)).toEqual({ update: 7, bits: bitsOf(vectors(7)), refused: [] });
  });

  it.each(files)('is detected when %s is missing, empty, a folder, or that of another checkpoint', async (name) => {
    const folder = await runFolder(6, 7);
    const path = join(checkpointPath(folder, 7), name);
    const good = { update: 6, bits: bitsOf(vectors(6)), refused: [7] };
    await rm(path);
    expect(await resume(folder)).toEqual(good);
    await writeFile(path, '');
    expect(await resume(folder)).toEqual(good);
    await rm(path);
    await mkdir(path);
    expect(await resume(folder)).toEqual(good);
    await rm(path, { recursive: true });
    await copyFile(join(checkpointPath(folder, 6), name), path);
    expect(await resume(folder)).toEqual(good);
  });

  it('is detected when two of its files are exchanged, and when one stands for another', async () => {
    const folder = await runFolder(6, 7);
    const path = (name: string): string => join(checkpointPath(folder, 7), name);
    await rename(path('generator.safetensors'), path('kept'));
    await rename(path('guidance.safetensors'), path('generator.safetensors'));
    await rename(path('kept'), path('guidance.safetensors'));
    expect(await resume(folder)).toMatchObject({ update: 6, refused: [7] });
    await copyFile(path('generator.safetensors'), path('guidance.safetensors'));
    expect(await resume(folder)).toMatchObject({ update: 6, refused: [7] });
  });

  it('is detected when it stands in the place of another, or of another run, or is for another network', async () => {
    const folder = await runFolder(7);
    await cp(checkpointPath(folder, 7), checkpointPath(folder, 8), { recursive: true });
    expect(await resume(folder)).toMatchObject({ update: 7, refused: [8] });
    const other = new RunFolder(await temporaryFolder(), 'other');
    await cp(checkpointPath(folder, 7), checkpointPath(other, 7), { recursive: true });
    await expect(loadCheckpoint(other, layout, 7)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    const smaller: ParameterLayout = { ...layout, size: 12, tensors: layout.tensors.slice(0, 1) };
    await expect(loadCheckpoint(folder, smaller, 7)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it('is detected when the manifest names no file, or says what no manifest says', async () => {
    const folder = await runFolder(6, 7);
    const changes: ((manifest: Record<string, unknown>) => Record<string, unknown>)[] = [
      (manifest) => ({ ...manifest, files: {} }),
      ({ files: _, ...manifest }) => manifest,
      (manifest) => ({ ...manifest, format: 'dd2-checkpoint/2' }),
      (manifest) => ({ ...manifest, update: -1 }),
      (manifest) => ({ ...manifest, more: 1 }),
    ];
    for (const change of changes) {
      await reseal(folder, 7, change);
      expect(await resume(folder)).toMatchObject({ update: 6, refused: [7] });
      await save(folder, 7);
    }
  });

  it('is not what lies beside its files, nor what an interrupted save has left', async () => {
    const folder = await runFolder(7);
    await writeFile(join(checkpointPath(folder, 7), 'generator.safetensors.bak'), 'x');
    await cp(checkpointPath(folder, 7), `${checkpointPath(folder, 8)}.new-0123456789ab`, { recursive: true });
    await mkdir(`${checkpointPath(folder, 9)}.old-0123456789ab`);
    expect(await resume(folder)).toMatchObject({ update: 7, refused: [] });
  });
});

describe('retention', () => {
  const left = async (folder: RunFolder): Promise<string[]> => (await readdir(folder.file('checkpoints'))).sort();

  it('keeps the last ones and those that are held, and removes leftovers', async () => {
    const folder = await runFolder(1, 2, 3, 4, 5);
    await mkdir(folder.file('checkpoints', '6.new-0123456789ab'));
    await mkdir(folder.file('checkpoints', '5.old-0123456789ab'));
    await writeFile(folder.file('checkpoints', 'notes.txt'), 'mine');
    await retainCheckpoints(folder, { newest: 5, keep: 2, held: new Set([2]) });
    expect(await left(folder)).toEqual(['2', '4', '5', 'notes.txt']);
  });

  it('does not count later ones, which a run that went back has given up: they must not push out good ones', async () => {
    const folder = await runFolder(1, 2, 3, 8, 9);
    await retainCheckpoints(folder, { newest: 3, keep: 2, held: new Set([8]) });
    expect(await left(folder)).toEqual(['2', '3', '8']);
  });
});

async function flipBit(path: string, next: (below: number) => number): Promise<void> {
  const bytes = await readFile(path);
  const at = next(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
  await writeFile(path, bytes);
}

async function shorten(path: string, next: (below: number) => number): Promise<void> {
  await truncate(path, next((await stat(path)).size));
}

async function lengthen(path: string, next: (below: number) => number): Promise<void> {
  await using file = await open(path, 'a');
  await file.write(Buffer.alloc(1 + next(100), next(256)));
}

/** Some bytes become others, as a block that was never written or belongs to another file. */
async function overwrite(path: string, next: (below: number) => number): Promise<void> {
  const bytes = await readFile(path);
  const from = next(bytes.length);
  const before = bytes.toString('latin1');
  bytes.fill(next(256), from, Math.min(bytes.length, from + 1 + next(64)));
  if (bytes.toString('latin1') === before) bytes[from] = (bytes[from] ?? 0) ^ 0xff;
  await writeFile(path, bytes);
}

/** Changes a manifest as somebody would who knows how it vouches for itself. */
async function reseal(folder: RunFolder, update: number, change: (manifest: Record<string, unknown>) => Record<string, unknown>): Promise<void> {
  const path = join(checkpointPath(folder, update), 'manifest.json');
  const { sha256: _, ...manifest } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  const content = change(manifest);
  const sha256 = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  await writeFile(path, `${JSON.stringify({ ...content, sha256 }, null, 2)}\n`);
}
