import { createHash } from 'node:crypto';
import { access, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { bundleFiles, readSafetensors } from '@dd2/assets';
import { parseRunSpec, type RunSpec } from '@dd2/core';
import { arDiffusionNetwork, initialize, layoutOf } from '@dd2/models';
import { ExportFormat } from '@dd2/proto';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { listCheckpoints, retainCheckpoints, saveCheckpoint, type CheckpointVectors } from '../checkpoint.js';
import { ModelBundle, modelConfig } from '../model-bundle.js';
import { RunEvaluations } from '../run-evaluations.js';
import { RunFolder } from '../run-folder.js';
import { header, vectorsOf, writeFrom } from '../testing/checkpoint-vectors.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { RunExports, type ExportRequest } from './run-exports.js';

const root = resolve(import.meta.dirname, '../../../..');
const base = parseRunSpec(await readFile(join(root, 'configs/mnist.yaml'), 'utf8'));
const spec: RunSpec = { ...base, assets: resolve(root, 'configs', base.assets) };
const { signal } = new AbortController();
/** A machine may have other things to do. */
const patiently = { interval: 1, timeout: 30_000 };
const onnx: ExportRequest = { format: ExportFormat.ONNX, sampler: '' };

let layout: ReturnType<typeof layoutOf>;
let generator: Float32Array;

beforeAll(async () => {
  const { manifest } = await ModelBundle.open(spec.assets);
  const network = arDiffusionNetwork(modelConfig(manifest, spec.model), 'generator');
  layout = layoutOf(network);
  generator = initialize(network, 1);
});

interface Scene {
  readonly evaluations: RunEvaluations;
  readonly exports: RunExports;
  /** names in the export folder */
  readonly files: () => Promise<string[]>;
}

async function scene(updates: readonly number[], options: { verify?: () => Promise<void>; spec?: RunSpec; best?: number } = {}): Promise<Scene> {
  const folder = new RunFolder(await temporaryFolder(), 'run', options.verify);
  const exports = new RunExports('1.2.3');
  onTestFinished(() => exports.close());
  await mkdir(folder.file('checkpoints'), { recursive: true });
  const vectors: CheckpointVectors = { ...vectorsOf(layout, 1), generator_ema: generator };
  for (const update of updates) await saveCheckpoint(folder, layout, header(update), writeFrom(vectors), () => Promise.resolve());
  if (options.best !== undefined) {
    const record = { generatorUpdates: 0, sampler: 'one-step', samples: 50, classCounts: [], accuracy: 1, noiseSeed: 1, featureNetworkSha256: '', referenceSha256: '', millisecondsPerImage: 1, seconds: 1, fid: 1 };
    await mkdir(folder.file('evaluations'));
    await writeFile(folder.file('evaluations', `${options.best}.json`), JSON.stringify({ ...record, update: options.best }));
  }
  return { evaluations: await RunEvaluations.open(folder, options.spec ?? spec), exports, files: () => readdir(folder.file('export')).catch(() => []) };
}

async function taken({ exports, evaluations }: Scene, request: ExportRequest, until: AbortSignal = signal): Promise<{ fileName: string; update: number; content: Buffer; pieces: number }> {
  const pieces = [];
  for await (const piece of exports.stream(evaluations, request, until)) pieces.push(piece);
  const [first, ...rest] = pieces;
  const content = Buffer.concat(pieces.map(({ data }) => data ?? new Uint8Array()));
  expect(Number(first?.totalBytes)).toBe(content.byteLength);
  for (const { fileName, totalBytes, update } of rest) expect([fileName, totalBytes, update]).toEqual([undefined, undefined, undefined]);
  for (const { data } of pieces) expect(data?.byteLength).toBeLessThanOrEqual(1024 * 1024);
  return { fileName: first?.fileName ?? '', update: first?.update ?? -1, content, pieces: pieces.length };
}

/** Resolves when a file is about to be made: its thread is still to be started. */
async function begun({ evaluations }: Scene): Promise<void> {
  await expect.poll(() => access(evaluations.folder.file('export')).then(() => true, () => false), patiently).toBe(true);
}

it('hands out a sampler as ONNX in pieces, made once however many ask', async () => {
  const stage = await scene([10]);
  const [one, two] = await Promise.all([taken(stage, onnx), taken(stage, { ...onnx, sampler: 'one-step' })]);
  expect(one.fileName).toBe('run-10-one-step.onnx');
  expect(one.pieces).toBeGreaterThan(1);
  expect(Buffer.compare(one.content, two.content)).toBe(0);
  const files = await stage.files();
  expect(files).toHaveLength(1);
  const path = stage.evaluations.folder.file('export', files[0] ?? '');
  expect(Buffer.compare(await readFile(path), one.content)).toBe(0);
  for (const text of ['dd2.run', 'dd2.update', 'dd2.sampler', '1.2.3', 'generator/backbone']) expect(one.content.includes(text), text).toBe(true);
  // What is there is handed out as it is.
  await writeFile(path, 'marked');
  expect((await taken(stage, onnx)).content.toString()).toBe('marked');
});

it('makes the same bytes again', async () => {
  const sums = [];
  for (const stage of [await scene([10]), await scene([10])]) sums.push(createHash('sha256').update((await taken(stage, { ...onnx, sampler: 'teacher' })).content).digest('hex'));
  expect(sums[0]).toBe(sums[1]);
});

it('exports the averaged generator by tensor name', async () => {
  const stage = await scene([10]);
  const { fileName, content } = await taken(stage, { format: ExportFormat.SAFETENSORS, sampler: '' });
  expect(fileName).toBe('run-10-generator.safetensors');
  const path = join(await temporaryFolder(), fileName);
  await writeFile(path, content);
  const { tensors, metadata } = await readSafetensors(path);
  expect(metadata).toMatchObject({ 'dd2.run': 'run', 'dd2.update': '10', 'dd2.version': '1.2.3', 'dd2.spec_sha256': expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  expect(Object.keys(tensors).sort()).toEqual(layout.tensors.map(({ name }) => name).sort());
  for (const { name, shape, offset, size } of layout.tensors) {
    expect(tensors[name]?.shape).toEqual(shape);
    expect(Buffer.compare(new Uint8Array((tensors[name]?.data as Float32Array).buffer), new Uint8Array(generator.slice(offset, offset + size).buffer))).toBe(0);
  }
});

it.each([
  [undefined, 30],
  [20, 20],
  [5, 30], // its checkpoint is gone
])('takes the best checkpoint (%j) if it is there, else the newest', async (best, expected) => {
  const stage = await scene([10, 20, 30], best === undefined ? {} : { best });
  expect((await taken(stage, { format: ExportFormat.SAFETENSORS, sampler: '' })).update).toBe(expected);
  expect((await taken(stage, { format: ExportFormat.SAFETENSORS, sampler: '', update: 10 })).update).toBe(10);
});

it('keeps those that were used last', async () => {
  const stage = await scene([1, 2, 3, 4, 5, 6]);
  const request = (update: number): ExportRequest => ({ format: ExportFormat.SAFETENSORS, sampler: '', update });
  await mkdir(stage.evaluations.folder.file('export'));
  await writeFile(stage.evaluations.folder.file('export', '9-one-step-0.onnx.tmp'), 'a leftover');
  for (const update of [1, 2, 3, 4, 1, 5, 6]) {
    await taken(stage, request(update));
    await new Promise((resolve) => setTimeout(resolve, 5)); // the time of use is what the file system keeps
  }
  expect((await stage.files()).map((name) => Number(name.split('-')[0])).sort()).toEqual([1, 4, 5, 6]);
});

it('is made to its end when its callers leave, and its checkpoint stays meanwhile', async () => {
  const stage = await scene([1, 2]);
  const { folder } = stage.evaluations;
  const leaving = new AbortController();
  const left = taken(stage, { ...onnx, update: 1 }, leaving.signal);
  await begun(stage);
  leaving.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  await retainCheckpoints(folder, { newest: 2, keep: 1, held: new Set() });
  expect(await listCheckpoints(folder)).toEqual([2, 1]);
  await expect.poll(() => stage.files(), patiently).toEqual([expect.stringMatching(/^1-one-step-[0-9a-f]{12}\.onnx$/)]);
  await expect.poll(() => folder.holds.has(1), patiently).toBe(false);
});

it('what was removed while it is read is read to its end', async () => {
  const stage = await scene([1]);
  const whole = await taken(stage, onnx);
  const pieces: Uint8Array[] = [];
  for await (const { data } of stage.exports.stream(stage.evaluations, onnx, signal)) {
    if (pieces.length === 0) await rm(stage.evaluations.folder.file('export'), { recursive: true });
    pieces.push(data ?? new Uint8Array());
  }
  expect(Buffer.compare(Buffer.concat(pieces), whole.content)).toBe(0);
});

it('leaves nothing when it cannot be made, and can be made when that is over', async () => {
  const assets = join(await temporaryFolder(), 'assets');
  await cp(spec.assets, assets, { recursive: true });
  const stage = await scene([1], { spec: { ...spec, assets } });
  const [name] = bundleFiles.filter((file) => file.startsWith('tokenizer'));
  const good = await readFile(join(assets, name ?? ''));
  await writeFile(join(assets, name ?? ''), good.subarray(1));
  await expect(taken(stage, onnx)).rejects.toMatchObject({ code: 'ASSET_CORRUPT', message: expect.stringContaining('tokenizer.safetensors') as string });
  expect(await stage.files()).toEqual([]);
  await writeFile(join(assets, name ?? ''), good);
  expect((await taken(stage, onnx)).update).toBe(1);
  await rm(join(assets, 'manifest.json'));
  await expect(taken(stage, onnx)).rejects.toMatchObject({ code: 'ASSET_MISSING' });
});

it('a damaged checkpoint is named, and makes no file', async () => {
  const stage = await scene([1]);
  const file = stage.evaluations.folder.file('checkpoints', '1', 'generator_ema.safetensors');
  const bytes = await readFile(file);
  bytes[bytes.length - 1] = 99;
  await writeFile(file, bytes);
  await expect(taken(stage, onnx)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT', message: expect.stringContaining('generator_ema.safetensors') as string });
  expect(await stage.files()).toEqual([]);
});

it('writes nothing once another coordinator has taken over', async () => {
  let calls = 0;
  const stage = await scene([1], {
    verify: async () => {
      calls += 1;
      if (calls > 1) throw new Error('fenced'); // while the file was being made
    },
  });
  await expect(taken(stage, onnx)).rejects.toThrow('fenced');
  expect(calls).toBe(2);
  expect(await stage.files()).toEqual([]);
});

it('ends what is being made when the coordinator stops', async () => {
  const stage = await scene([1]);
  const asked = taken(stage, onnx);
  await begun(stage);
  await stage.exports.close();
  await expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(await stage.files()).toEqual([]);
});

it('refuses what it cannot export', async () => {
  const stage = await scene([1]);
  await expect(taken(stage, { ...onnx, sampler: 'naive' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'sampler' });
  await expect(taken(stage, { format: ExportFormat.SAFETENSORS, sampler: 'teacher' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'sampler' });
  await expect(taken(stage, { format: 9 as ExportFormat, sampler: '' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'format' });
  await expect(taken(stage, { ...onnx, update: 7 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'update', remedy: 'Use one of 1' });
  await expect(taken(await scene([]), onnx)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', remedy: 'Wait for its first checkpoint' });
});
