import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import { createServer, ExportFormat, RunService, type Handlers, type RpcServer } from '@dd2/proto';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../../..');
let folder = '';
let server: RpcServer;
let address = '';
const asked: object[] = [];

const file = { name: 'generator.safetensors', bytes: 1_500_000n, sha256: 'ab'.repeat(32) };
const content = Buffer.alloc(3_000_000, 7);

const requireRun = (runId: string): void => {
  if (runId !== 'run-1') throw new Dd2Error('RUN_NOT_FOUND', `there is no run "${runId}"`, { field: 'run_id' });
};

/** A coordinator that knows one run. */
const handlers: Partial<Handlers<typeof RunService>> = {
  listCheckpoints: async ({ runId }) => {
    requireRun(runId);
    return {
      checkpoints: [
        { update: 12_000, phase: 'distill', generatorUpdates: 300, createdAt: { seconds: 1_700_000_000n, nanos: 0 }, files: [file], keptFor: ['newest', 'best'], specSha256: 'cd' },
        { update: 200, keptFor: ['newest'] },
      ],
    };
  },
  verifyCheckpoints: async ({ runId, update }) => {
    requireRun(runId);
    const damaged = { update: 200, intact: false, error: { code: 'CHECKPOINT_CORRUPT', message: 'the manifest is not what was written\u001b[2J', field: 'manifest.json', remedy: 'delete it' } };
    return { verdicts: update === undefined ? [{ update: 12_000, intact: true }, damaged] : [{ update, intact: true }] };
  },
  exportRun: async ({ $typeName: _type, ...request }, stream) => {
    asked.push(request);
    stream.write({ fileName: 'run-1-12000-one-step.onnx', totalBytes: BigInt(content.byteLength), update: 12_000, data: content.subarray(0, 1_000_000) });
    stream.write({ data: content.subarray(1_000_000) });
  },
};

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-cli-'));
  server = createServer();
  const others = new Proxy(handlers, { get: (known, name: string) => (known as Record<string, unknown>)[name] ?? (() => Promise.reject(new Dd2Error('UNSUPPORTED_OPERATION', name))) });
  server.add(RunService, others as Handlers<typeof RunService>);
  address = `127.0.0.1:${await server.listen('127.0.0.1:0')}`;
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the built command in an empty folder. */
async function dd2(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [path.join(root, 'packages/cli/bin/dd2.mjs'), ...args, '--server', address], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout, stderr };
}

it('lists checkpoints for people and for programs', async () => {
  const table = await dd2('checkpoint', 'list', 'run-1');
  expect([table.code, table.stderr]).toEqual([0, '']);
  expect(table.stdout).toMatch(/^ *update +phase +generator updates +size +kept as +written\n[- ]+\n12,000 +distill +300 +1\.5 MB +newest, best +\d{4}-.*\n +200 +damaged +newest\n$/);
  const json: unknown = JSON.parse((await dd2('checkpoint', 'list', 'run-1', '--json')).stdout);
  expect(json).toMatchObject([{ update: 12_000, keptFor: ['newest', 'best'], files: [{ ...file, bytes: 1_500_000 }] }, { update: 200, files: [] }]);
});

it('verifies them, and exits with 1 when one is damaged', async () => {
  const all = await dd2('checkpoint', 'verify', 'run-1');
  expect([all.code, all.stderr]).toEqual([1, '']);
  expect(all.stdout).toMatch(/12,000 +intact\n +200 +damaged +the manifest is not what was written\?\[2J\n$/);
  const one = await dd2('checkpoint', 'verify', 'run-1', '--update', '12000', '--json');
  expect(one.code).toBe(0);
  expect(JSON.parse(one.stdout)).toEqual([{ update: 12_000, intact: true }]);
});

it('exports a file that is complete, and says what it wrote', async () => {
  const named = await dd2('run', 'export', 'run-1');
  expect([named.code, named.stderr]).toEqual([0, '']);
  expect(named.stdout).toBe(`wrote ${path.join(folder, 'run-1-12000-one-step.onnx')}: 3,000,000 bytes, checkpoint 12,000\n`);
  expect(Buffer.compare(await readFile(path.join(folder, 'run-1-12000-one-step.onnx')), content)).toBe(0);
  const chosen = await dd2('run', 'export', 'run-1', '--sampler', 'teacher', '--update', '7', '--out', 'teacher.onnx', '--json');
  expect(JSON.parse(chosen.stdout)).toEqual({ path: path.join(folder, 'teacher.onnx'), bytes: 3_000_000, update: 12_000 });
  await dd2('run', 'export', 'run-1', '--format', 'safetensors', '--out', 'g.safetensors');
  expect(asked).toEqual([
    { runId: 'run-1', format: ExportFormat.ONNX, sampler: '' },
    { runId: 'run-1', format: ExportFormat.ONNX, sampler: 'teacher', update: 7 },
    { runId: 'run-1', format: ExportFormat.SAFETENSORS, sampler: '' },
  ]);
  expect((await readdir(folder)).sort()).toEqual(['g.safetensors', 'run-1-12000-one-step.onnx', 'teacher.onnx']);
});

it.each([
  ['a run that is not there', ['checkpoint', 'list', 'other'], /^error RUN_NOT_FOUND: there is no run "other"/, 3],
  ['an update that is none', ['checkpoint', 'verify', 'run-1', '--update', '-1'], /^error INVALID_ARGUMENT: .*whole number/, 2],
  ['an unknown format', ['run', 'export', 'run-1', '--format', 'gguf'], /^error INVALID_ARGUMENT: .*onnx, safetensors/, 2],
  ['a sampler of parameters', ['run', 'export', 'run-1', '--format', 'safetensors', '--sampler', 'teacher'], /^error INVALID_ARGUMENT: .*\(--sampler\)/, 2],
  ['a place that cannot be written', ['run', 'export', 'run-1', '--out', 'no/such/folder.onnx'], /^error INVALID_ARGUMENT: .*cannot be written.*\(--out\)/, 2],
])('reports %s', async (_, args, message, code) => {
  const result = await dd2(...args);
  expect(result.stderr).toMatch(message);
  expect([result.code, result.stdout]).toEqual([code, '']);
});
