import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkpointErrors, flatten, isLeftover, readSafetensors, removeFolder, replaceFolder, syncFolder, systemCode, type FileDigest } from '@dd2/assets';
import { Dd2Error, type HostTensor, type ParameterLayout } from '@dd2/core';
import { z } from 'zod';
import { namesIn, type RunFolder } from './run-folder.js';

const FORMAT = 'dd2-checkpoint/1';
const MANIFEST = 'manifest.json';
const OPTIMIZER = 'optimizer.safetensors';
const HEALTH_BYTES = 256 * 1024;
const networkFiles = ['generator', 'generator_ema', 'guidance'] as const;
const moments = ['generator.m', 'generator.v', 'guidance.m', 'guidance.v'] as const;

/** A network of a checkpoint: each has a file of its own. */
export type CheckpointNetwork = (typeof networkFiles)[number];
export type CheckpointVector = CheckpointNetwork | (typeof moments)[number];

/** Every vector of a run's state, flat float32, by name. */
export type CheckpointVectors = Readonly<Record<CheckpointVector, Float32Array>>;
export const checkpointVectors: readonly CheckpointVector[] = [...networkFiles, ...moments];

const count = z.number().int().min(0);

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  runId: z.string(),
  /** of the coordinator that wrote it */
  epoch: count.default(0),
  specSha256: z.string(),
  /** updates that are committed; the next one has this number */
  update: count,
  phase: z.string(),
  cyclePosition: z.number().int().optional(),
  generatorUpdates: z.number().int(),
  /** parameter versions: commits that each network has seen */
  versions: z.strictObject({ generator: z.number().int(), guidance: z.number().int() }),
  skippedUpdates: z.number().int(),
  skippedInARow: z.number().int(),
  /** what the run's health was judged by, and what that led to: whoever judges it knows the form */
  health: z.unknown().refine((value) => value === undefined || JSON.stringify(value).length <= HEALTH_BYTES, `more than ${HEALTH_BYTES} bytes`).optional(),
  createdAt: z.string(),
  files: z.record(z.string(), z.strictObject({ sha256: z.string(), bytes: z.number().int() })),
});

export type CheckpointManifest = z.infer<typeof manifestSchema>;
export type CheckpointHeader = Omit<CheckpointManifest, 'format' | 'files' | 'createdAt'>;

/** A tensor of a checkpoint's file and where its elements lie: [offset, offset + size) of a vector. */
export interface CheckpointTensor {
  readonly dtype: 'float32';
  readonly shape: readonly number[];
  readonly vector: CheckpointVector;
  readonly offset: number;
  readonly size: number;
}

/** The tensors of each file of a checkpoint, by name. */
function checkpointFiles(layout: ParameterLayout): Readonly<Record<string, Readonly<Record<string, CheckpointTensor>>>> {
  const network = (vector: CheckpointVector): Record<string, CheckpointTensor> =>
    Object.fromEntries(layout.tensors.map(({ name, shape, offset, size }) => [name, { dtype: 'float32', shape, vector, offset, size }]));
  const whole = (vector: CheckpointVector): CheckpointTensor => ({ dtype: 'float32', shape: [layout.size], vector, offset: 0, size: layout.size });
  return {
    ...Object.fromEntries(networkFiles.map((vector) => [`${vector}.safetensors`, network(vector)])),
    [OPTIMIZER]: Object.fromEntries(moments.map((vector) => [vector, whole(vector)])),
  };
}

/**
 * Makes `checkpoints/<update>/`: `write` puts each file into a temporary folder, on the disk; the manifest comes last, then the
 * folder is renamed. A checkpoint is complete or it does not exist.
 * @param verify rejects when this coordinator may not write any more
 */
export async function saveCheckpoint(
  folder: RunFolder,
  layout: ParameterLayout,
  header: CheckpointHeader,
  write: (path: string, tensors: Readonly<Record<string, CheckpointTensor>>) => Promise<FileDigest>,
  verify: () => Promise<void>,
): Promise<CheckpointManifest> {
  await verify();
  return replaceFolder(checkpointPath(folder, header.update), undefined, async (temporary) => {
    const files: CheckpointManifest['files'] = {};
    for (const [name, tensors] of Object.entries(checkpointFiles(layout))) files[name] = await write(join(temporary, name), tensors);
    const manifest = manifestSchema.parse({ format: FORMAT, ...header, createdAt: new Date().toISOString(), files });
    await writeFile(join(temporary, MANIFEST), sealed(manifest), { flush: true });
    // The run may be new: the folders on the way to it must be on the disk as well.
    const checkpoints = dirname(temporary);
    for (const parent of [checkpoints, dirname(checkpoints), dirname(dirname(checkpoints))]) await syncFolder(parent);
    await verify(); // writing took a while
    return manifest;
  });
}

/** Updates at which complete-looking checkpoints exist, newest first. */
export async function listCheckpoints(folder: RunFolder): Promise<number[]> {
  const names = await namesIn(folder.file('checkpoints'));
  return names.filter((name) => /^(0|[1-9]\d{0,9})$/.test(name)).map(Number).sort((a, b) => b - a);
}

/**
 * Verifies every file of a checkpoint against its manifest and loads it.
 * @throws {Dd2Error} CHECKPOINT_CORRUPT naming the file; UNAVAILABLE when the reason is not in the checkpoint (permissions,
 * open files, memory)
 */
export async function loadCheckpoint(folder: RunFolder, layout: ParameterLayout, update: number): Promise<{ manifest: CheckpointManifest; vectors: CheckpointVectors }> {
  return reading(folder, update, async () => {
    const manifest = await readManifest(folder, update);
    const vectors: Partial<Record<CheckpointVector, Float32Array>> = {};
    for (const network of networkFiles) vectors[network] = await readNetwork(folder, layout, manifest, network);
    const optimizer = await readTensors(folder, manifest, OPTIMIZER);
    for (const moment of moments) {
      const tensor = optimizer[moment];
      if (tensor?.dtype !== 'float32' || tensor.data.length !== layout.size) {
        throw corrupt(`the optimizer state "${moment}" has another size than the network`, join(checkpointPath(folder, update), OPTIMIZER));
      }
      vectors[moment] = tensor.data as Float32Array;
    }
    return { manifest, vectors: vectors as CheckpointVectors };
  });
}

/** The manifest of a checkpoint, verified. @throws as `loadCheckpoint` */
export async function loadManifest(folder: RunFolder, update: number): Promise<CheckpointManifest> {
  return reading(folder, update, () => readManifest(folder, update));
}

/**
 * Reads a checkpoint whole and compares it with its manifest.
 * @throws as `loadCheckpoint`
 */
export async function requireIntact(folder: RunFolder, update: number): Promise<void> {
  return reading(folder, update, async () => {
    const { files } = await readManifest(folder, update);
    for (const name of [...networkFiles.map((network) => `${network}.safetensors`), OPTIMIZER]) {
      const path = join(checkpointPath(folder, update), name);
      const expect = files[name];
      if (!expect) throw corrupt('the manifest does not name this file', path);
      const digest = await digestOf(path);
      if (digest.bytes !== expect.bytes) throw corrupt(`the file has ${digest.bytes} bytes, its manifest says ${expect.bytes}`, path);
      if (digest.sha256 !== expect.sha256) throw corrupt('the contents do not match the SHA-256 of the manifest', path);
    }
  });
}

/** Verifies and loads one network of a checkpoint; the other files are not read. @throws as `loadCheckpoint` */
export async function loadNetwork(folder: RunFolder, layout: ParameterLayout, update: number, network: CheckpointNetwork): Promise<{ manifest: CheckpointManifest; vector: Float32Array }> {
  return reading(folder, update, async () => {
    const manifest = await readManifest(folder, update);
    return { manifest, vector: await readNetwork(folder, layout, manifest, network) };
  });
}

/**
 * Keeps the newest `keep` checkpoints up to that of `newest`, which was just written, those in `held`, and those that are being read.
 * Deletes the others, later ones (a run that went back to an older checkpoint has given them up), and leftovers of interrupted saves.
 */
export async function retainCheckpoints(folder: RunFolder, { newest, keep, held }: { readonly newest: number; readonly keep: number; readonly held: ReadonlySet<number> }): Promise<void> {
  const updates = await listCheckpoints(folder);
  const kept = new Set([...updates.filter((update) => update <= newest).slice(0, keep), ...held]);
  for (const update of updates) {
    if (kept.has(update)) continue;
    await folder.verify(); // a coordinator that stood still in between has nothing to delete any more
    if (!folder.holds.has(update)) await removeFolder(checkpointPath(folder, update));
  }
  await removeLeftovers(folder);
}

/** Deletes what saves and removals that were interrupted have left. */
export async function removeLeftovers(folder: RunFolder): Promise<void> {
  for (const name of (await namesIn(folder.file('checkpoints'))).filter(isLeftover)) {
    await folder.verify();
    await removeFolder(folder.file('checkpoints', name));
  }
}

export function checkpointPath(folder: RunFolder, update: number): string {
  return folder.file('checkpoints', String(update));
}

async function readManifest(folder: RunFolder, update: number): Promise<CheckpointManifest> {
  const path = join(checkpointPath(folder, update), MANIFEST);
  const manifest = manifestSchema.parse(unsealed(await readFile(path, 'utf8'), path));
  if (manifest.update !== update) throw corrupt(`the manifest is of update ${manifest.update}`, path);
  if (manifest.runId !== folder.runId) throw corrupt(`the manifest is of run ${manifest.runId}`, path);
  return manifest;
}

async function readNetwork(folder: RunFolder, layout: ParameterLayout, manifest: CheckpointManifest, network: CheckpointNetwork): Promise<Float32Array> {
  return flatten(layout, await readTensors(folder, manifest, `${network}.safetensors`));
}

async function readTensors(folder: RunFolder, manifest: CheckpointManifest, name: string): Promise<Record<string, HostTensor>> {
  const path = join(checkpointPath(folder, manifest.update), name);
  const expect = manifest.files[name];
  if (!expect) throw corrupt('the manifest does not name this file', path);
  return (await readSafetensors(path, { expect, errors: checkpointErrors })).tensors;
}

async function digestOf(path: string): Promise<FileDigest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.byteLength;
  }
  return { sha256: hash.digest('hex'), bytes };
}

async function reading<T>(folder: RunFolder, update: number, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof Dd2Error && cause.code === 'CHECKPOINT_CORRUPT') throw cause;
    const message = `checkpoint ${update} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    const system = systemCode(cause instanceof Dd2Error ? cause.cause : cause);
    // A good checkpoint must not be passed over, and its updates repeated, for what may be over in a moment.
    if (system !== undefined && ['EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR', 'ETIMEDOUT', 'ESTALE'].includes(system)) {
      throw new Dd2Error('UNAVAILABLE', message, { field: checkpointPath(folder, update), remedy: 'Check the permissions, the limit of open files and the file system', cause });
    }
    throw corrupt(message, checkpointPath(folder, update), cause);
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
  if (typeof value !== 'object' || value === null || sealed(value) !== text) throw corrupt('the manifest is not what was written', path);
  const { sha256: _, ...content } = value as Record<string, unknown>;
  return content;
}

function corrupt(problem: string, field: string, cause?: unknown): Dd2Error {
  return new Dd2Error('CHECKPOINT_CORRUPT', problem, { field, remedy: 'An older checkpoint is used when there is one; this one can be deleted', cause });
}
