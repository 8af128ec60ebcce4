import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isInstalled } from '../chaos/redis-process.js';
import { createProgram } from '../program.js';
import { complete, formatCompletion, type Completion } from './candidates.js';
import { shells } from './scripts.js';

const program = createProgram();
const runs = async () => [{ value: 'mnist-1', description: 'running' }, { value: 'mnist-2', description: '' }];
const completed = (...words: string[]): Promise<Completion> => complete(program, words, runs);
const valuesOf = async (...words: string[]): Promise<string[]> => (await completed(...words)).candidates.map(({ value }) => value);

describe('complete', () => {
  it('offers commands, and theirs', async () => {
    expect(await valuesOf('')).toEqual(expect.arrayContaining(['train', 'run', 'worker', 'doctor']));
    expect(await valuesOf('run', 'sh')).toEqual(['show']);
    expect(await valuesOf('worker', '')).toContain('list');
    expect(await valuesOf('help', 'do')).toEqual(['doctor']);
    for (const value of await valuesOf('')) expect(value).not.toMatch(/^_/);
  });

  it('offers options, hidden ones not, switches once', async () => {
    expect(await valuesOf('run', 'list', '--st')).toEqual(['--state']);
    expect(await valuesOf('worker', '--su')).toEqual([]);
    expect(await valuesOf('run', 'list', '--json', '--js')).toEqual([]);
    expect(await valuesOf('run', 'list', '--state', 'paused', '--st')).toEqual(['--state']);
    expect(await valuesOf('run', 'list', '--verb')).toEqual(['--verbose']);
  });

  it('offers the options of a connection before a command and after those that have them', async () => {
    expect(await valuesOf('--se')).toEqual(['--server']);
    expect(await valuesOf('run', 'list', '--se')).toEqual(['--server']);
    expect(await valuesOf('train', '--ser')).toEqual([]);
    expect(await valuesOf('--server', 'https://dd2.example.org', '--token-file', 'run', 'worker', 'li')).toEqual(['list']);
    expect(await completed('--token-file', '')).toEqual({ candidates: [], paths: 'files' });
  });

  it('offers the values that an option takes', async () => {
    expect(await valuesOf('run', 'list', '--state', 'pa')).toEqual(['pausing', 'paused']);
    expect(await valuesOf('run', 'list', '--state=pa')).toEqual(['--state=pausing', '--state=paused']);
    expect(await valuesOf('run', 'list', '--sort', '')).toContain('fid');
    expect(await valuesOf('worker', '--provider', '')).toEqual(['cpu', 'webgpu', 'cuda']);
    // A value that looks like a command is none.
    expect(await valuesOf('run', 'list', '--name', 'show', '--st')).toEqual(['--state']);
  });

  it('leaves files and folders to the shell', async () => {
    expect(await completed('train', '')).toEqual({ candidates: [], paths: 'files' });
    expect(await completed('train', 'a.yaml', '')).toEqual({ candidates: [], paths: 'none' });
    expect(await completed('train', '--data-dir', '')).toEqual({ candidates: [], paths: 'folders' });
    expect(await completed('worker', '--token-file=to')).toEqual({ candidates: [], paths: 'files' });
  });

  it('asks for run ids where a run is named', async () => {
    expect(await valuesOf('run', 'show', '')).toEqual(['mnist-1', 'mnist-2']);
    expect(await valuesOf('run', 'compare', 'mnist-1', 'mnist-2')).toEqual(['mnist-2']);
    expect(await valuesOf('run', 'show', 'mnist-1', '')).toEqual([]);
    expect(await valuesOf('sample', '--run', 'mnist-1')).toEqual(['mnist-1']);
  });

  it('prints nothing that could be taken for something else', () => {
    expect(formatCompletion({ candidates: [{ value: 'a\n:files', description: 'b\tc\u001b[31m' }], paths: 'none' })).toBe('a :files\tb c [31m\n:none\n');
  });
});

describe('the scripts', () => {
  let folder = '';
  const environment = (): NodeJS.ProcessEnv => ({ ...process.env, PATH: `${folder}:${process.env['PATH']}`, HOME: folder, DD2_SERVER: '127.0.0.1:1' });
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'dd2-completion-'));
    const shim = path.join(folder, 'dd2');
    await writeFile(shim, `#!/bin/sh\nexec '${process.execPath}' '${path.resolve(import.meta.dirname, '../../bin/dd2.mjs')}' "$@"\n`);
    await chmod(shim, 0o755);
    await mkdir(path.join(folder, 'work/some folder'), { recursive: true });
    await writeFile(path.join(folder, 'work/some spec.yaml'), '');
    // A data folder, whose run ids need no coordinator.
    await mkdir(path.join(folder, 'work/.dd2/runs/mnist-7'), { recursive: true });
    for (const shell of shells) await writeFile(path.join(folder, shell), execFileSync(shim, ['completion', shell]));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const run = async (shell: string, args: readonly string[]): Promise<string[]> => {
    const { stdout } = await promisify(execFile)(shell, [...args], { cwd: path.join(folder, 'work'), env: environment() });
    return stdout.split('\n').filter((line) => line !== '');
  };

  /** What bash fills in after a line, words split as bash does it. */
  const bash = (line: string, words: readonly string[]): Promise<string[]> =>
    run('bash', ['--norc', '--noprofile', '-c', `source ../bash; COMP_LINE=$1; COMP_POINT=\${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dd2; printf '%s\\n' "\${COMPREPLY[@]}"`, 'bash', line, ...words]);

  it('of bash completes commands, options, values, files and run ids', async () => {
    expect(await bash('dd2 run sh', ['dd2', 'run', 'sh'])).toEqual(['show']);
    expect(await bash('dd2 run list --so', ['dd2', 'run', 'list', '--so'])).toEqual(['--sort']);
    expect(await bash('dd2 run list --state ', ['dd2', 'run', 'list', '--state', ''])).toContain('running');
    // Bash has split this one at the sign, and puts back what stands before it.
    expect(await bash('dd2 run list --state=pa', ['dd2', 'run', 'list', '--state', '=', 'pa'])).toEqual(['pausing', 'paused']);
    expect(await bash('dd2 run list --server 127.0.0.1:7 --so', ['dd2', 'run', 'list', '--server', '127.0.0.1', ':', '7', '--so'])).toEqual(['--sort']);
    expect(await bash('dd2 train some', ['dd2', 'train', 'some'])).toEqual(expect.arrayContaining(['some spec.yaml', 'some folder']));
    expect(await bash('dd2 train --data-dir some', ['dd2', 'train', '--data-dir', 'some'])).toEqual(['some folder']);
    expect(await bash('dd2 sample --run ', ['dd2', 'sample', '--run', ''])).toEqual(['mnist-7']);
  });

  it('of bash can be loaded twice, and hands over what a command line holds as it is', async () => {
    const written = path.join(folder, 'work/executed');
    expect(execFileSync('bash', ['--norc', '-c', 'source ./bash; source <(dd2 completion bash); complete -p dd2'], { cwd: folder, env: environment() }).toString()).toBe('complete -F _dd2 dd2\n');
    expect(await bash('dd2 run show $(touch executed) ', ['dd2', 'run', 'show', '$(touch executed)', ''])).toEqual([]);
    await expect(import('node:fs/promises').then(({ stat }) => stat(written))).rejects.toThrow('ENOENT');
  });

  it.skipIf(!isInstalled('fish'))('of fish completes commands with descriptions, values and folders', async () => {
    const fish = (line: string): Promise<string[]> => run('fish', ['--no-config', '-c', `source ../fish; complete -C '${line}'`]);
    expect(await fish('dd2 run sh')).toEqual([expect.stringMatching(/^show\twhere a run stands/)]);
    expect((await fish('dd2 run list --state pa')).sort()).toEqual(['paused', 'pausing']);
    expect(await fish('dd2 train --data-dir some')).toEqual([expect.stringMatching(/^some\\? folder\//)]);
  });

  it.skipIf(!isInstalled('zsh'))('of zsh completes commands with descriptions, and files', async () => {
    // What zsh itself would show is asked from stand-ins of its own functions.
    const zsh = (...words: string[]): Promise<string[]> =>
      run('zsh', ['-fc', `compdef() { }; _describe() { print -l -- "\${(@P)2}" }; _files() { print files "$@" }; source ../zsh; words=("$@"); CURRENT=$#; PREFIX="\${words[-1]}"; _dd2`, 'zsh', ...words]);
    expect(await zsh('dd2', 'run', 'sh')).toEqual([expect.stringMatching(/^show:where a run stands/)]);
    expect(await zsh('dd2', 'run', 'list', '--state', 'pa')).toEqual(['pausing', 'paused']);
    expect(await zsh('dd2', 'train', '')).toEqual(['files']);
    expect(await zsh('dd2', 'train', '--data-dir', '')).toEqual(['files -/']);
  });
});
