import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../program.js';

const root = path.resolve(import.meta.dirname, '../../../..');
const mnist = path.join(root, 'configs/mnist.yaml');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the built command in an empty folder. */
async function dd2(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [path.join(root, 'packages/cli/bin/dd2.mjs'), ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout, stderr };
}

describe('dd2', () => {
  it('describes every command', () => {
    const names = createProgram().commands.map((command) => command.name());
    expect(names).toEqual(['quickstart', 'train', 'up', 'coordinator', 'worker', 'run', 'evaluate', 'sample', 'prepare']);
    for (const command of createProgram().commands) expect(command.description()).not.toBe('');
  });

  it.each([
    ['an unknown field', ['train', mnist, '--set', 'phases.tune.stepz=3'], /^error INVALID_SPEC: unknown field "stepz" \(phases\.tune\.stepz\)\. .+\n$/],
    ['a value out of range', ['quickstart', '--config', mnist, '--set', 'seed=-1'], /^error INVALID_SPEC: .+ \(seed\)\. .+\n$/],
    ['a missing file', ['up', 'nothing.yaml'], /^error INVALID_SPEC: .+nothing\.yaml.+\n$/],
    ['missing assets', ['train', mnist, '--set', 'assets=no-such-folder'], /^error ASSET_MISSING: .+no-such-folder.+prepare mnist.+\n$/],
    ['a run that is not there', ['sample', '--run', 'none', '--out', 'grid.png'], /^error RUN_NOT_FOUND: .+ \(none\)\. .+--data-dir\n$/],
    ['an option of the wrong kind', ['train', mnist, '--workers', 'many'], /'many' is invalid.*whole number/],
    ['an address without a port', ['worker', '--coordinator', 'localhost'], /HOST:PORT/],
    ['an unknown command', ['trian'], /unknown command 'trian'[\s\S]*Did you mean train/],
  ])('reports %s, exits with 1 and leaves nothing behind', async (_what, args, message) => {
    const { code, stdout, stderr } = await dd2(...args);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([1, '']);
    expect(await readdir(folder)).toEqual([]);
  });

  it('reports a spec that is not YAML', async () => {
    const file = path.join(folder, 'broken.yaml');
    await writeFile(file, 'name: [mnist');
    const { code, stderr } = await dd2('train', file);
    expect(stderr).toMatch(/^error INVALID_SPEC: the run spec is not valid YAML/);
    expect([code, existsSync(path.join(folder, '.dd2'))]).toEqual([1, false]);
    await rm(file);
  });

  it('says that no coordinator answers', async () => {
    const { code, stderr } = await dd2('run', 'list', '--server', '127.0.0.1:1');
    expect([code, stderr]).toEqual([1, 'error UNAVAILABLE: no coordinator answers at 127.0.0.1:1. Start one with `dd2 up`, or name another with --server\n']);
  });
});
