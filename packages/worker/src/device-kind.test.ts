import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { deviceKind } from './device-kind.js';

async function gpus(...models: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dd2-gpus-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [index, model] of models.entries()) {
    await mkdir(join(folder, `0000:0${index}:00.0`));
    await writeFile(join(folder, `0000:0${index}:00.0`, 'information'), `Model: \t\t ${model}\nIRQ:   \t\t 25\nGPU UUID: \t GPU-0\n`);
  }
  return folder;
}

it('names the processor', async () => {
  expect(cpus().map(({ model }) => model.replace(/\s+/g, ' ').trim())).toContain(await deviceKind('cpu'));
});

it('names the GPU as the driver does, unless there are several kinds', async () => {
  expect(await deviceKind('cuda', await gpus('NVIDIA H200', 'NVIDIA H200'))).toBe('NVIDIA H200');
  expect(await deviceKind('cuda', await gpus('NVIDIA H200', 'Tesla T4'))).toBe('');
  expect((await deviceKind('cuda', await gpus('x'.repeat(1_000)))).length).toBe(128);
});

it('says nothing of what it cannot know', async () => {
  expect(await deviceKind('cuda', '/no/such/folder')).toBe('');
  const folder = await gpus();
  await mkdir(join(folder, 'empty'));
  expect(await deviceKind('cuda', folder)).toBe('');
  expect(await deviceKind('webgpu')).toBe('');
});
