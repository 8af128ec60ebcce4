import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Dd2Error, type ErrorCode } from '@dd2/core';
import { exitCodeOf } from '../exit-codes.js';
import { createProgram, wantsJson } from '../program.js';

const root = path.resolve(import.meta.dirname, '../../../..');
const mnist = path.join(root, 'configs/mnist.yaml');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the built command in an empty folder. */
const dd2 = (...args: string[]) => dd2WithPath(process.env['PATH'] ?? '', ...args);

async function dd2WithPath(programs: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [path.join(root, 'packages/cli/bin/dd2.mjs'), ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: programs } });
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
    expect(names).toEqual(expect.arrayContaining(['quickstart', 'train', 'up', 'coordinator', 'worker', 'run', 'evaluate', 'sample', 'prepare', 'chaos']));
    for (const command of createProgram().commands) expect(command.description()).not.toBe('');
  });

  it.each([
    ['an unknown field', ['train', mnist, '--set', 'phases.tune.stepz=3'], /^error INVALID_SPEC: unknown field "stepz" \(phases\.tune\.stepz\)\. .+\n$/],
    ['a value out of range', ['quickstart', '--config', mnist, '--set', 'seed=-1'], /^error INVALID_SPEC: .+ \(seed\)\. .+\n$/],
    ['a missing file', ['up', 'nothing.yaml'], /^error INVALID_SPEC: .+nothing\.yaml.+\n$/],
    ['missing assets', ['train', mnist, '--set', 'assets=no-such-folder'], /^error ASSET_MISSING: .+no-such-folder.+prepare mnist.+\n$/],
    ['a run that is not there', ['sample', '--run', 'none', '--out', 'grid.png'], /^error RUN_NOT_FOUND: .+ \(none\)\. .+--data-dir\n$/],
    ['an option of the wrong kind', ['train', mnist, '--workers', 'many'], /^error INVALID_ARGUMENT: .*'many' is invalid\. It is a whole number.*`dd2 train --help`.*\n$/],
    ['an address without a port', ['worker', '--coordinator', 'localhost'], /^error INVALID_ARGUMENT: .*HOST:PORT.*\n$/],
    ['an unknown command', ['trian'], /^error INVALID_ARGUMENT: unknown command 'trian' \(Did you mean train\?\).*`dd2 --help`.*\n$/],
    ['an unknown command of runs', ['run', 'stop', 'a'], /^error INVALID_ARGUMENT: unknown command 'stop'.*`dd2 run --help`.*\n$/],
    ['an unknown option', ['run', 'list', '--all'], /^error INVALID_ARGUMENT: unknown option '--all'.*`dd2 run list --help`.*\n$/],
    ['a missing argument', ['run', 'compare', 'a'], /^error INVALID_ARGUMENT: missing required argument 'other'.*\n$/],
    ['a priority out of range', ['run', 'submit', mnist, '--priority', '-1001'], /^error INVALID_ARGUMENT: .*-1000 to 1000.*\n$/],
    ['a queue store that is none, without its password', ['up', '--redis-url', 'http://user:secret@localhost'], /^error INVALID_ARGUMENT: (?!.*secret).*\(--redis-url\)\. .*redis:\/\/HOST:PORT.*\n$/],
    ['a target that chaos does not know', ['chaos', '--targets', 'worker,network'], /^error INVALID_ARGUMENT: .*Targets are worker, coordinator, store.*\n$/],
    ['a mean time of nothing', ['chaos', '--mtbf', '0'], /^error INVALID_ARGUMENT: .*above 0.*\n$/],
    ['a worker without a coordinator', ['worker'], /^error INVALID_ARGUMENT: required option '--coordinator <host:port>' not specified.*`dd2 worker --help`.*\n$/],
    ['a state that no run has', ['run', 'list', '--state', 'done'], /^error INVALID_ARGUMENT: there is no state "done" \(--state\)\. Use queued, .*\n$/],
    ['a shell that is none of those', ['completion', 'tcsh'], /^error INVALID_ARGUMENT: .*bash, zsh, fish.*\n$/],
    ['help for what is not there', ['help', 'run', 'stop'], /^error INVALID_ARGUMENT: there is no command "run stop"\. .*\n$/],
  ])('reports %s, with the exit code of the error, and leaves nothing behind', async (_what, args, message) => {
    const { code, stdout, stderr } = await dd2(...args);
    expect(stderr).toMatch(message);
    const errorCode = /^error (\w+):/.exec(stderr)?.[1] as ErrorCode;
    expect([code, stdout]).toEqual([exitCodeOf(new Dd2Error(errorCode, '')), '']);
    expect([2, 3]).toContain(code);
    expect(await readdir(folder)).toEqual([]);
  });

  it('refuses to strike a store that this machine does not have', async () => {
    const { code, stderr } = await dd2WithPath('', 'chaos', '--targets', 'store,worker');
    expect(stderr).toMatch(/^error INVALID_ARGUMENT: .*redis-server.*\(--targets\)\. Install it.*--targets worker,coordinator\n$/);
    expect(code).toBe(2);
  });

  it('shows help that is asked for, and the commands where one is missing', async () => {
    const asked = await dd2('run', 'list', '--help');
    expect([asked.code, asked.stderr]).toEqual([0, '']);
    expect(asked.stdout).toContain('--state');
    const missing = await dd2('run');
    expect([missing.code, missing.stdout]).toEqual([2, '']);
    expect(missing.stderr).toContain('resume');
    expect((await dd2('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('reports a spec that is not YAML', async () => {
    const file = path.join(folder, 'broken.yaml');
    await writeFile(file, 'name: [mnist');
    const { code, stderr } = await dd2('train', file);
    expect(stderr).toMatch(/^error INVALID_SPEC: the run spec is not valid YAML/);
    expect([code, existsSync(path.join(folder, '.dd2'))]).toEqual([2, false]);
    await rm(file);
  });

  it('says that no coordinator answers', async () => {
    const { code, stderr } = await dd2('run', 'list', '--server', '127.0.0.1:1');
    expect([code, stderr]).toEqual([5, 'error UNAVAILABLE: no coordinator answers at 127.0.0.1:1. Start one with `dd2 up`, or name another with --server\n']);
  });

  it('reports to programs in JSON, whatever is wrong', async () => {
    for (const [args, code, exitCode] of [
      [['run', 'list', '--json', '--all'], 'INVALID_ARGUMENT', 2],
      [['run', 'show', '--json', '--server', '127.0.0.1:1', 'x'], 'UNAVAILABLE', 5],
    ] as const) {
      const result = await dd2(...args);
      expect([result.code, result.stdout]).toEqual([exitCode, '']);
      expect(JSON.parse(result.stderr)).toMatchObject({ error: { code, retryable: code === 'UNAVAILABLE' } });
    }
    // Here it names a file, and people read the error.
    expect(wantsJson(['chaos', '--json', 'a.json'])).toBe(false);
    expect(wantsJson(['run', 'list', '--json'])).toBe(true);
    expect(wantsJson(['run', 'list'])).toBe(false);
  });

  it('tells what exit codes mean', async () => {
    const { code, stdout } = await dd2('help', 'exit-codes');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +5 .*trying again.*\n.*UNAVAILABLE/m);
    expect((await dd2('help', 'run', 'list')).stdout).toContain('--sort');
  });

  describe('run validate', () => {
    const spec = async (change: (text: string) => string): Promise<string> => {
      const file = path.join(folder, 'spec.yaml');
      await writeFile(file, change(await readFile(mnist, 'utf8')));
      return file;
    };

    it('finds nothing wrong with a good one', async () => {
      expect(await dd2('run', 'validate', mnist)).toEqual({ code: 0, stdout: `${mnist}: a run spec of 3,600 updates, nothing is wrong with it\n`, stderr: '' });
    });

    it('prints every problem, with its line', async () => {
      const file = await spec((text) => text.replace(/^seed: .*$/m, 'seed: -1').replace(/^( +)microBatches: .*$/m, '$1microBatchez: 2'));
      const lines = (await readFile(file, 'utf8')).split('\n');
      const { code, stdout } = await dd2('run', 'validate', file);
      expect(code).toBe(2);
      expect(stdout).toContain(`${file}:${lines.indexOf('seed: -1') + 1}: `);
      expect(stdout).toContain(`${file}:${lines.findIndex((line) => line.includes('microBatchez')) + 1}: unknown field "microBatchez" (phases.tune.microBatchez). Remove it`);
      const json = JSON.parse((await dd2('run', 'validate', file, '--json')).stdout) as { valid: boolean; problems: { field: string; line: number }[] };
      expect(json.valid).toBe(false);
      expect(json.problems.map(({ field }) => field)).toEqual(expect.arrayContaining(['seed', 'phases.tune.microBatchez']));
      await rm(file);
    });

    it('reads standard input, to a limit', async () => {
      const piped = async (input: string) => {
        const child = spawn(process.execPath, [path.join(root, 'packages/cli/bin/dd2.mjs'), 'run', 'validate', '-'], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
        let stdout = '';
        child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
        child.stdin.on('error', () => undefined);
        child.stdin.end(input);
        const [code] = (await once(child, 'close')) as [number];
        return { code, stdout };
      };
      expect(await piped(await readFile(mnist, 'utf8'))).toEqual({ code: 0, stdout: expect.stringContaining('<stdin>: a run spec') as string });
      expect(await piped('x: '.repeat(1_000_000))).toEqual({ code: 2, stdout: expect.stringMatching(/larger than 65536 bytes/) as string });
    });
  });
});
