import { appendFile, rm, truncate, writeFile, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseRunSpec } from '@dd2/core';
import { expect, it } from 'vitest';
import { listCheckpoints, retainCheckpoints, saveCheckpoint } from './checkpoint.js';
import { describeCheckpoints, verifyCheckpoints } from './checkpoint-list.js';
import { RunEvaluations } from './run-evaluations.js';
import { RunFolder } from './run-folder.js';
import { header, vectorsOf, writeFrom } from './testing/checkpoint-vectors.js';
import { temporaryFolder } from './testing/temporary-folder.js';

const spec = parseRunSpec(await readFile(resolve(import.meta.dirname, '../../../configs/mnist.yaml'), 'utf8'), ['checkpoint.keep=2']);
const layout = { network: 'generator', size: 6, tensors: [{ name: 'weight', shape: [3, 2], offset: 0, size: 6 }] };
const { signal } = new AbortController();

/** A run with checkpoints of these updates; 200 is the best of its curve, 100 is held by an evaluation. */
async function runWith(updates: readonly number[]): Promise<RunEvaluations> {
  const folder = new RunFolder(await temporaryFolder(), 'run');
  await folder.create();
  for (const update of updates) await saveCheckpoint(folder, layout, header(update), writeFrom(vectorsOf(layout, update)), folder.verify);
  const record = { generatorUpdates: 0, sampler: 'one-step', samples: 50, classCounts: [], accuracy: 1, noiseSeed: 1, featureNetworkSha256: '', referenceSha256: '', millisecondsPerImage: 1, seconds: 1 };
  for (const [update, fid] of [[200, 10], [300, 20]]) await folder.write(`evaluations/${update}.json`, JSON.stringify({ ...record, update, fid }));
  const evaluations = await RunEvaluations.open(folder, spec);
  await evaluations.request({ id: '100-asked', update: 100, sampler: 'one-step', samples: 50, noiseSeed: 1, purpose: 'asked' });
  return evaluations;
}

it('lists checkpoints newest first, with their files and why they are kept', async () => {
  const checkpoints = await describeCheckpoints(await runWith([100, 200, 300, 400]));
  expect(checkpoints.map(({ update, keptFor }) => [update, keptFor])).toEqual([
    [400, ['newest']],
    [300, ['newest']],
    [200, ['best']],
    [100, ['evaluation']],
  ]);
  const [newest] = checkpoints;
  expect(newest).toMatchObject({ phase: 'tune', generatorUpdates: 0, specSha256: 'spec' });
  expect(newest?.files?.map(({ name }) => name)).toEqual(['generator.safetensors', 'generator_ema.safetensors', 'guidance.safetensors', 'optimizer.safetensors']);
  for (const { bytes, sha256 } of newest?.files ?? []) {
    expect(Number(bytes)).toBeGreaterThan(6 * 4);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  }
});

it('has nothing to tell of a run without checkpoints', async () => {
  const evaluations = await runWith([]);
  expect(await describeCheckpoints(evaluations)).toEqual([]);
  expect(await verifyCheckpoints(evaluations, undefined, signal)).toEqual([]);
  await expect(verifyCheckpoints(evaluations, 3, signal)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'update', remedy: 'Wait for its first checkpoint' });
});

it('names the damaged file of every checkpoint that is not what was written', async () => {
  const evaluations = await runWith([1, 2, 3, 4, 5, 6, 7]);
  const file = (update: number, name: string): string => evaluations.folder.file('checkpoints', String(update), name);
  const flip = async (path: string): Promise<void> => {
    const bytes = await readFile(path);
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
    await writeFile(path, bytes);
  };
  await flip(file(1, 'optimizer.safetensors'));
  await truncate(file(2, 'generator.safetensors'), 50);
  await appendFile(file(3, 'guidance.safetensors'), 'x');
  await rm(file(4, 'generator_ema.safetensors'));
  await writeFile(file(5, 'manifest.json'), (await readFile(file(5, 'manifest.json'), 'utf8')).replace('tune', 'tume'));
  await writeFile(file(6, 'manifest.json'), '');
  const verdicts = await verifyCheckpoints(evaluations, undefined, signal);
  expect(verdicts.map(({ update, intact }) => [update, intact])).toEqual([[7, true], [6, false], [5, false], [4, false], [3, false], [2, false], [1, false]]);
  const named = { 1: 'optimizer.safetensors', 2: 'generator.safetensors', 3: 'guidance.safetensors', 4: 'generator_ema.safetensors', 5: 'manifest.json' } as const;
  for (const { update, intact, error } of verdicts) {
    if (intact) continue;
    expect(error).toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    const name = named[update as keyof typeof named] as string | undefined;
    if (name !== undefined) expect(`${error?.field} ${error?.message}`).toContain(join(String(update), name));
  }
  expect(await verifyCheckpoints(evaluations, 7, signal)).toEqual([{ update: 7, intact: true }]);
  await expect(verifyCheckpoints(evaluations, 9, signal)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', remedy: 'Use one of 7, 6, 5, 4, 3, 2, 1' });
  // Those whose manifest is damaged are listed all the same.
  const listed = await describeCheckpoints(evaluations);
  expect(listed.filter(({ files }) => files === undefined).map(({ update }) => update)).toEqual([6, 5]);
});

it('stops reading when nobody waits any more', async () => {
  const evaluations = await runWith([1, 2]);
  const left = AbortSignal.abort(new Error('left'));
  await expect(verifyCheckpoints(evaluations, undefined, left)).rejects.toThrow('left');
  expect(evaluations.folder.holds.has(2)).toBe(false);
});

it('a checkpoint that is read is not removed meanwhile', async () => {
  const { folder } = await runWith([1, 2, 3]);
  const [one, again] = [folder.holds.hold(1), folder.holds.hold(1)];
  const retain = (): Promise<void> => retainCheckpoints(folder, { newest: 3, keep: 1, held: new Set() });
  await retain();
  expect(await listCheckpoints(folder)).toEqual([3, 1]);
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await retain();
  expect(await listCheckpoints(folder)).toEqual([3, 1]);
  again[Symbol.dispose]();
  await retain();
  expect(await listCheckpoints(folder)).toEqual([3]);
});
