import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostTensor } from '@dd2/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBundle, writeBundle, type BundleContents } from './bundle.js';
import { readReference, readTokens, referenceTensors, tokenTensors, type DatasetTokens } from './bundle-contents.js';
import { bundleFiles } from './bundle-manifest.js';

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'dd2-bundle-'));
  folder = join(parent, 'mnist');
});
afterEach(() => rm(parent, { recursive: true }));

const weights = (...values: number[]): Record<string, HostTensor> => ({ weight: { dtype: 'float32', shape: [values.length], data: Float32Array.from(values) } });
const tokensOf = (...values: number[]): HostTensor<'int64'> => ({ dtype: 'int64', shape: [values.length / 16, 16], data: BigInt64Array.from(values, BigInt) });
const tokens: DatasetTokens = { train: tokensOf(...Array.from({ length: 48 }, (_, i) => (i * 37) % 128)), test: tokensOf(...Array.from({ length: 16 }, (_, i) => i)) };
const reference = { count: 10_000, sum: Float64Array.of(1, 2), outer: Float64Array.of(1, 2, 2, 5) };

function contents(): BundleContents {
  return {
    manifest: {
      name: 'mnist-16',
      dataset: 'mnist',
      command: 'dd2 prepare mnist --seed 0',
      seed: 0,
      versions: { dd2: '0.1.0', node: '20.19.0', onnxruntime: '1.30.0' },
      createdAt: '2026-01-02T03:04:05Z',
      metrics: { 'classifier.accuracy': 0.987, 'teacher.crossEntropy': 2.34 },
      model: { tokens: 16, dimension: 6, vocabulary: 128, classes: 10, width: 96, layers: 3, heads: 4, grid: 4, imageSize: 28 },
    },
    files: {
      'classifier.safetensors': weights(1),
      'tokenizer.safetensors': weights(2),
      'teacher.safetensors': weights(3, 4),
      'reference.safetensors': referenceTensors(reference),
      'tokens.safetensors': tokenTensors(tokens, 128),
    },
  };
}

const remedy = expect.stringContaining('npx dd2 prepare mnist') as string;
const naming = (text: string): string => expect.stringContaining(text) as string;

async function editManifest(edit: (text: string) => string): Promise<void> {
  const path = join(folder, 'manifest.json');
  await writeFile(path, edit(await readFile(path, 'utf8')));
}

describe('a bundle', () => {
  it('comes back as it was written', async () => {
    const manifest = await writeBundle(folder, contents());
    const bundle = await openBundle(folder);
    expect(bundle.manifest).toEqual(manifest);
    expect(bundle.manifest).toMatchObject({ format: 'dd2-assets/1', ...contents().manifest });
    expect(await bundle.read('teacher.safetensors')).toEqual(weights(3, 4));
    expect(await readReference(bundle)).toEqual(reference);
    expect(await readTokens(bundle)).toEqual(tokens);
    expect((await readdir(folder)).sort()).toEqual([...bundleFiles, 'manifest.json'].sort());
    expect(await readdir(parent)).toEqual(['mnist']);
  });

  it('keeps tokens of a large vocabulary whole', () => {
    expect(tokenTensors(tokens, 256)['train.tokens']?.dtype).toBe('uint8');
    expect(tokenTensors(tokens, 257)['train.tokens']).toEqual(tokens.train);
  });

  it('replaces a bundle and an empty folder, and nothing else', async () => {
    await writeBundle(folder, contents());
    await writeBundle(folder, { ...contents(), manifest: { ...contents().manifest, name: 'second' } });
    expect((await openBundle(folder)).manifest.name).toBe('second');
    expect(await readdir(parent)).toEqual(['mnist']);
    await writeFile(join(parent, 'thesis.txt'), 'precious');
    await expect(writeBundle(parent, contents())).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: parent });
    expect(await readFile(join(parent, 'thesis.txt'), 'utf8')).toBe('precious');
  });

  it('leaves nothing behind when writing fails, and the old bundle where it was', async () => {
    await writeBundle(folder, contents());
    const broken = contents();
    await expect(writeBundle(folder, { ...broken, manifest: { ...broken.manifest, metrics: { fid: Number.NaN } } })).rejects.toMatchObject({ code: 'ASSET_CORRUPT', field: 'metrics.fid' });
    expect(await readdir(parent)).toEqual(['mnist']);
    expect((await openBundle(folder)).manifest.name).toBe('mnist-16');
  });
});

describe('opening a damaged bundle', () => {
  beforeEach(() => writeBundle(folder, contents()));

  it('names a missing folder', async () => {
    const absent = join(parent, 'absent');
    const ways = naming(`npx dd2 prepare mnist --out ${absent}`);
    await expect(openBundle(absent)).rejects.toMatchObject({ code: 'ASSET_MISSING', field: 'assets', message: naming(`no folder ${absent}`), remedy: ways });
    await expect(openBundle(join(folder, 'manifest.json'))).rejects.toMatchObject({ code: 'ASSET_MISSING', field: 'assets' });
  });

  it('tells an empty folder from a missing one', async () => {
    const empty = join(parent, 'empty');
    await mkdir(empty);
    await expect(openBundle(empty)).rejects.toMatchObject({ code: 'ASSET_MISSING', message: naming('empty/manifest.json does not exist'), remedy });
  });

  it.each(bundleFiles)('names %s when it is missing, cut or changed', async (file) => {
    const path = join(folder, file);
    const good = await readFile(path);
    await writeFile(path, good.map((byte, at) => (at === good.length - 1 ? byte ^ 1 : byte)));
    await expect(openBundle(folder)).rejects.toMatchObject({ code: 'ASSET_CORRUPT', field: 'sha256', message: naming(path), remedy });
    await truncate(path, good.length - 1);
    await expect(openBundle(folder)).rejects.toMatchObject({ code: 'ASSET_CORRUPT', field: 'bytes', message: naming(path), remedy });
    await rm(path);
    await expect(openBundle(folder)).rejects.toMatchObject({ code: 'ASSET_MISSING', message: naming(path), remedy });
  });

  it('notices a file that changes after opening', async () => {
    const bundle = await openBundle(folder);
    const path = join(folder, 'teacher.safetensors');
    const good = await readFile(path);
    await writeFile(path, good.map((byte, at) => (at === good.length - 1 ? byte ^ 1 : byte)));
    await expect(bundle.read('teacher.safetensors')).rejects.toMatchObject({ code: 'ASSET_CORRUPT', field: 'sha256' });
  });

  it.each<[string, (text: string) => string, string]>([
    ['no JSON', () => '{', 'not JSON'],
    ['another format', (text) => text.replace('dd2-assets/1', 'dd2-assets/2'), '(format)'],
    ['an unknown field', (text) => text.replace('"seed"', '"extra": 1, "seed"'), '(extra)'],
    ['an unknown file', (text) => text.replace('"files": {', '"files": {"../../escape": {"sha256": "", "bytes": 0},'), '(files.../../escape)'],
    ['a digest that is none', (text) => text.replace(/"sha256": "[0-9a-f]{64}"/, '"sha256": "12"'), '(files.classifier.safetensors.sha256)'],
    ['sizes that contradict each other', (text) => text.replace('"tokens": 16', '"tokens": 17'), '(model.tokens)'],
    ['a manifest without end', (text) => text.padEnd(2 * 1024 * 1024), 'more than the limit'],
  ])('refuses a manifest with %s', async (_, edit, problem) => {
    await editManifest(edit);
    await expect(openBundle(folder)).rejects.toMatchObject({ code: 'ASSET_CORRUPT', message: naming(problem), remedy });
  });
});

describe('contents that are well-formed but wrong', () => {
  it.each<[string, Record<string, HostTensor>, string]>([
    ['a token beyond the vocabulary', tokenTensors({ ...tokens, test: tokensOf(...Array<number>(16).fill(128)) }, 128), 'test.tokens'],
    ['no training tokens', { 'test.tokens': tokens.test }, 'train.tokens'],
    ['sequences of another length', { 'train.tokens': { dtype: 'uint8', shape: [2, 8], data: new Uint8Array(16) }, 'test.tokens': tokens.test }, 'train.tokens'],
    ['tokens of another dtype', { 'train.tokens': { dtype: 'float32', shape: [1, 16], data: new Float32Array(16) } }, 'train.tokens'],
  ])('tokens: %s', async (_, tensors, field) => {
    await writeBundle(folder, { ...contents(), files: { ...contents().files, 'tokens.safetensors': tensors } });
    await expect(readTokens(await openBundle(folder))).rejects.toMatchObject({ code: 'ASSET_CORRUPT', field, message: naming('tokens.safetensors'), remedy });
  });

  it.each<[string, Record<string, HostTensor>, string]>([
    ['no count', { sum: { dtype: 'float64', shape: [2], data: new Float64Array(2) } }, 'count'],
    ['no sum', { count: { dtype: 'int64', shape: [], data: BigInt64Array.of(1n) } }, 'sum'],
    ['products of another size', { ...referenceTensors(reference), outer: { dtype: 'float64', shape: [3], data: new Float64Array(3) } }, 'outer'],
  ])('reference: %s', async (_, tensors, field) => {
    await writeBundle(folder, { ...contents(), files: { ...contents().files, 'reference.safetensors': tensors } });
    await expect(readReference(await openBundle(folder))).rejects.toMatchObject({ code: 'ASSET_CORRUPT', field, message: naming('reference.safetensors'), remedy });
  });
});
