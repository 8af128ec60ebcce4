/// <reference lib="dom" />
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openOnCpu } from '../packages/autodiff/dist/run-on-cpu.js';
import { sampleImages } from '../packages/cli/dist/sample-images.js';
import { fillNormal, fillUniform, type HostTensor } from '../packages/core/dist/index.js';
import { hasBrowser, openPage, startBrowser } from './support/browser.js';
import { Cluster } from './support/cluster.js';
import { root, runDd2, temporaryFolder } from './support/processes.js';

/** A run of a minute's tenth: its images are no digits yet, but they are images. */
const settings = [
  'phases.tune={ updates: 40, batch: 32, microBatches: 1, draws: 1, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.regress={ updates: 60, batch: 32, microBatches: 1, pairs: 500, odeSteps: 4, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.distill.align=2',
  'phases.distill.generatorUpdates=2',
  'phases.distill.guidance.batch=16',
  'phases.distill.generator.batch=16',
  'evaluation.everyGeneratorUpdates=1',
  'evaluation.samples=100',
  'evaluation.finalSamples=100',
  'evaluation.multiStep=[]',
  'checkpoint.everyUpdates=50',
];
const patiently = { timeout: 30_000 };
const page = join(root, 'packages/dashboard/dist/page/index.html');

describe('what a run is exported to', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let cluster: Cluster;
  let runId = '';
  let url = '';

  beforeAll(async () => {
    folder = await temporaryFolder();
    cluster = await Cluster.start({ dataDir: join(folder.path, 'data'), workers: 1 });
    url = (await cluster.coordinator.until(/page at (\S+)/))[1] ?? '';
    runId = await cluster.run('submit', 'configs/mnist.yaml', ...settings.flatMap((setting) => ['--set', setting]));
    expect(await cluster.ended(runId)).toBe('completed');
  }, 180_000);
  afterAll(async () => {
    await cluster.dispose();
    await folder.dispose();
  });

  const exported = async (sampler: 'one-step' | 'teacher'): Promise<Uint8Array> => {
    const out = join(folder.path, `${sampler}.onnx`);
    await cluster.run('export', runId, '--sampler', sampler, '--out', out);
    return readFile(out);
  };

  it.each(['one-step', 'teacher'] as const)('the ONNX file of %s makes the very images of `dd2 sample`', async (sampler) => {
    const { images: expected, update } = await sampleImages({ dataDir: cluster.options.dataDir, runId, sampler: { kind: sampler }, count: 12, seed: 7 });
    const file = await exported(sampler);
    expect(Buffer.from(file).includes(String(update))).toBe(true);
    const model = await openOnCpu(file);
    const count = 12;
    const drawn = (name: string, shape: readonly number[]): HostTensor => {
      const data = new Float32Array(count * shape.reduce((a, b) => a * b, 1));
      (name === 'noise' ? fillNormal : fillUniform)(data, { seed: 7, update: 0, stream: name }, Array.from({ length: count }, (_, i) => i));
      return { dtype: 'float32', shape: [count, ...shape], data };
    };
    const label: HostTensor = { dtype: 'int64', shape: [count], data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 10)) };
    const { images } = await model.run({ class: label, ...(sampler === 'one-step' ? { noise: drawn('noise', [16, 6]) } : { gumbel: drawn('gumbel', [16, 128]) }) });
    await model.close();
    expect(images?.shape).toEqual([count, 28, 28]);
    expect(Buffer.compare(images?.data as Uint8Array, expected.data)).toBe(0);
    expect(new Set(expected.data).size).toBeGreaterThan(50);
  });

  it('is downloaded over HTTP as well, by who has the token', async () => {
    const token = (await readFile(join(cluster.options.dataDir, 'tokens/api'), 'utf8')).trim();
    const get = (query: string, headers: Record<string, string> = { authorization: `Bearer ${token}` }): Promise<Response> => fetch(`${url}/api/v1/runs/${runId}/export?${query}`, { headers });
    const response = await get('format=EXPORT_FORMAT_ONNX&sampler=one-step');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="mnist-[0-9a-f]{8}-\d+-one-step\.onnx"$/);
    const body = new Uint8Array(await response.arrayBuffer());
    expect(response.headers.get('content-length')).toBe(String(body.byteLength));
    expect(Buffer.compare(body, await exported('one-step'))).toBe(0);
    expect((await get('format=EXPORT_FORMAT_ONNX', {})).status).toBe(401);
    for (const query of ['sampler=naive', 'update=1', 'format=EXPORT_FORMAT_SAFETENSORS&sampler=teacher', 'format=GGUF', 'update=-1']) {
      const refused = await get(query);
      expect([query, refused.status]).toEqual([query, 400]);
      expect(await refused.json()).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } });
    }
  });

  it('checkpoints are listed, verified, and named when they are damaged', async () => {
    const asked = (...args: string[]) => runDd2(['checkpoint', ...args, '--json', '--server', cluster.address, '--data-dir', cluster.options.dataDir]);
    const listed = JSON.parse((await asked('list', runId)).output) as { update: number; keptFor: string[]; files: unknown[] }[];
    expect(listed.length).toBeGreaterThan(1);
    expect(listed[0]).toMatchObject({ keptFor: expect.arrayContaining(['newest']) as string[] });
    expect(listed.flatMap(({ keptFor }) => keptFor)).toContain('best');
    expect((await asked('verify', runId)).code).toBe(0);
    const oldest = listed.at(-1)?.update ?? 0;
    const file = join(cluster.options.dataDir, 'runs', runId, 'checkpoints', String(oldest), 'optimizer.safetensors');
    const bytes = await readFile(file);
    await writeFile(file, Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)]));
    const verified = await asked('verify', runId);
    expect(verified.code).toBe(1);
    const verdicts = JSON.parse(verified.output) as { update: number; intact: boolean; error?: { code: string; message: string } }[];
    expect(verdicts.filter(({ intact }) => !intact)).toMatchObject([{ update: oldest, error: { code: 'CHECKPOINT_CORRUPT', message: expect.stringContaining('optimizer.safetensors') as string } }]);
  });

  describe.skipIf(!hasBrowser || !existsSync(page))('in the browser', () => {
    let browser: Browser;

    beforeAll(async () => {
      browser = await startBrowser();
    });
    afterAll(() => browser.close());

    it('makes images in one step, beside the teacher, from class and keys', async () => {
      const token = (await readFile(join(cluster.options.dataDir, 'tokens/api'), 'utf8')).trim();
      const { page: view, troubles } = await openPage(browser);
      await view.goto(`${url}/try/${runId}?class=4#token=${token}`);
      const figure = (sampler: string) => view.locator(`.try-result-${sampler}`);
      const pixels = (sampler: string): Promise<number[]> =>
        figure(sampler)
          .locator('canvas')
          .evaluate((canvas: HTMLCanvasElement) => Array.from(canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data.filter((_, i) => i % 4 === 0) ?? []));
      const compared = view.getByText(/times as fast as the teacher/).first();
      await compared.waitFor({ timeout: 60_000 });
      for (const sampler of ['one-step', 'teacher']) {
        expect(await figure(sampler).locator('.try-time').innerText()).toMatch(/^[\d.]+ ms for 1 image$/);
        expect(new Set(await pixels(sampler)).size).toBeGreaterThan(10);
        await view.getByRole('img', { name: /^1 image of class 4: / }).first().waitFor();
      }

      // New noise makes another image, the same noise the same.
      const first = await pixels('one-step');
      await view.keyboard.press(' ');
      await expect.poll(() => pixels('one-step'), patiently).not.toEqual(first);
      await compared.waitFor();
      await view.getByRole('radio', { name: 'Fixed' }).check({ force: true });
      const fixed = await pixels('one-step');
      await view.keyboard.press('7');
      await view.getByRole('img', { name: '1 image of class 7: Generator, one step' }).waitFor();
      expect(await pixels('one-step')).not.toEqual(fixed);
      await view.getByRole('button', { name: 'Make class 4' }).click();
      await view.getByRole('img', { name: '1 image of class 4: Generator, one step' }).waitFor();
      expect(await pixels('one-step')).toEqual(fixed);

      // Sixteen: the first of them is the same again.
      await view.getByRole('radio', { name: '16' }).check({ force: true });
      await view.getByRole('img', { name: '16 images of class 4: Generator, one step' }).waitFor();
      const sixteen = await pixels('one-step');
      expect(sixteen).toHaveLength(112 * 112);
      expect(Array.from({ length: 28 * 28 }, (_, i) => sixteen[Math.floor(i / 28) * 112 + (i % 28)])).toEqual(fixed);
      await expect.poll(() => Object.fromEntries(new URL(view.url()).searchParams), patiently).toEqual({ class: '4', noise: 'fixed', images: '16' });
      await view.getByRole('img', { name: '16 images of class 4: Teacher, token by token' }).waitFor();
      await expect.poll(() => view.locator('[role=status]', { hasText: 'in one step' }).innerText(), patiently).toMatch(/^Class 4: [\d.]+ ms in one step, [\d.]+ ms by the teacher/);

      // Space is for new images even where the focus was left on a choice.
      await view.getByRole('radio', { name: 'New each time' }).check({ force: true });
      await view.keyboard.press(' ');
      await expect.poll(() => pixels('one-step'), patiently).not.toEqual(sixteen);
      expect(troubles).toEqual([]);
      await view.context().close();
    });
  });
});
