import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointErrors, flatten, readSafetensors, syncFolder, unflatten, writeSafetensors } from '@dd2/assets';
import { Dd2Error, type HostTensor, type ParameterLayout } from '@dd2/core';
import { z } from 'zod';
import { namesIn, removeFolder, type RunFolder } from './run-folder.js';

const FORMAT = 'dd2-checkpoint/1';
const networkFiles = ['generator', 'generator_ema', 'guidance'] as const;
const moments = ['generator.m', 'generator.v', 'guidance.m', 'guidance.v'] as const;

/** Every vector of a run's state, flat float32, by name. */
export type CheckpointVectors = Readonly<Record<(typeof networkFiles)[number] | (typeof moments)[number], Float32Array>>;
export const checkpointVectors: readonly (keyof CheckpointVectors)[] = [...networkFiles, ...moments];

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  runId: z.string(),
  specSha256: z.string(),
  /** updates that are committed; the next one has this number */
  update: z.number().int().min(0),
  phase: z.string(),
  cyclePosition: z.number().int().optional(),
  generatorUpdates: z.number().int(),
  /** parameter versions: commits that each network has seen */
  versions: z.strictObject({ generator: z.number().int(), guidance: z.number().int() }),
  skippedUpdates: z.number().int(),
  skippedInARow: z.number().int(),
  createdAt: z.string(),
  files: z.record(z.string(), z.strictObject({ sha256: z.string(), bytes: z.number().int() })),
});

export type CheckpointManifest = z.infer<typeof manifestSchema>;
export type CheckpointHeader = Omit<CheckpointManifest, 'format' | 'files' | 'createdAt'>;

/**
 * Writes `checkpoints/<update>/`: into a temporary folder, each file flushed, the manifest last, then renamed. A checkpoint
 * is complete or it does not exist.
 */
export async function saveCheckpoint(folder: RunFolder, layout: ParameterLayout, header: CheckpointHeader, vectors: CheckpointVectors): Promise<CheckpointManifest> {
  const final = checkpointPath(folder, header.update);
  const temporary = `${final}.${process.pid}.tmp`;
  await removeFolder(temporary);
  await mkdir(temporary, { recursive: true });
  const files: CheckpointManifest['files'] = {};
  for (const name of networkFiles) {
    files[`${name}.safetensors`] = await writeSafetensors(join(temporary, `${name}.safetensors`), unflatten(layout, vectors[name]));
  }
  const flat = moments.map((name): [string, HostTensor] => [name, { dtype: 'float32', shape: [vectors[name].length], data: vectors[name] }]);
  files['optimizer.safetensors'] = await writeSafetensors(join(temporary, 'optimizer.safetensors'), Object.fromEntries(flat));
  const manifest: CheckpointManifest = { format: FORMAT, ...header, createdAt: new Date().toISOString(), files };
  await writeFile(join(temporary, 'manifest.json'), sealed(manifest), { flush: true });
  await syncFolder(temporary);
  await removeFolder(final);
  await rename(temporary, final);
  await syncFolder(folder.file('checkpoints'));
  return manifest;
}

/** Updates at which complete-looking checkpoints exist, newest first. */
export async function listCheckpoints(folder: RunFolder): Promise<number[]> {
  const names = await namesIn(folder.file('checkpoints'));
  return names.filter((name) => /^(0|[1-9]\d{0,9})$/.test(name)).map(Number).sort((a, b) => b - a);
}

/**
 * Verifies every file of a checkpoint against its manifest and loads it.
 * @throws {Dd2Error} CHECKPOINT_CORRUPT naming the file
 */
export async function loadCheckpoint(folder: RunFolder, layout: ParameterLayout, update: number): Promise<{ manifest: CheckpointManifest; vectors: CheckpointVectors }> {
  const path = checkpointPath(folder, update);
  try {
    const manifest = manifestSchema.parse(unsealed(await readFile(join(path, 'manifest.json'), 'utf8'), join(path, 'manifest.json')));
    if (manifest.update !== update) throw new Dd2Error('CHECKPOINT_CORRUPT', `the manifest is of update ${manifest.update}`, { field: join(path, 'manifest.json') });
    const read = async (name: string): Promise<Record<string, HostTensor>> => {
      const expect = manifest.files[name];
      if (!expect) throw new Dd2Error('CHECKPOINT_CORRUPT', 'the manifest does not name this file', { field: join(path, name) });
      return (await readSafetensors(join(path, name), { expect, errors: checkpointErrors })).tensors;
    };
    const vectors: Partial<Record<keyof CheckpointVectors, Float32Array>> = {};
    for (const name of networkFiles) {
      vectors[name] = flatten(layout, await read(`${name}.safetensors`));
    }
    const optimizer = await read('optimizer.safetensors');
    for (const name of moments) {
      const tensor = optimizer[name];
      if (tensor?.dtype !== 'float32' || tensor.data.length !== layout.size) {
        throw new Dd2Error('CHECKPOINT_CORRUPT', `the optimizer state "${name}" has another size than the network`, { field: join(path, 'optimizer.safetensors') });
      }
      vectors[name] = tensor.data as Float32Array;
    }
    return { manifest, vectors: vectors as CheckpointVectors };
  } catch (cause) {
    if (cause instanceof Dd2Error && cause.code === 'CHECKPOINT_CORRUPT') throw cause;
    throw new Dd2Error('CHECKPOINT_CORRUPT', `checkpoint ${update} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      field: path,
      remedy: 'An older checkpoint is used when there is one; this one can be deleted',
      cause,
    });
  }
}

/** Keeps the newest `keep` checkpoints and those in `held`; deletes the others and leftovers of interrupted saves. */
export async function retainCheckpoints(folder: RunFolder, keep: number, held: ReadonlySet<number>): Promise<void> {
  const updates = await listCheckpoints(folder);
  for (const update of updates.slice(keep)) {
    if (!held.has(update)) await removeFolder(checkpointPath(folder, update));
  }
  for (const name of await namesIn(folder.file('checkpoints'))) {
    if (name.endsWith('.tmp')) await removeFolder(folder.file('checkpoints', name));
  }
}

/** The manifest vouches for the other files; its last field, the SHA-256 of everything before it, vouches for itself. */
function sealed(manifest: object): string {
  const { sha256: _, ...content } = manifest as Record<string, unknown>;
  const sha256 = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  return `${JSON.stringify({ ...content, sha256 }, null, 2)}\n`;
}

/** The content of a sealed manifest, if not one byte of it has changed. @throws {Dd2Error} CHECKPOINT_CORRUPT */
function unsealed(text: string, path: string): unknown {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || sealed(value) !== text) {
    throw new Dd2Error('CHECKPOINT_CORRUPT', 'the manifest is not what was written', { field: path, remedy: 'An older checkpoint is used when there is one; this one can be deleted' });
  }
  const { sha256: _, ...content } = value as Record<string, unknown>;
  return content;
}

function checkpointPath(folder: RunFolder, update: number): string {
  return folder.file('checkpoints', String(update));
}
