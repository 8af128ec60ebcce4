import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** A real coordinator, a real worker and two short runs, asked in every way that the command line has. */

const root = path.resolve(import.meta.dirname, '../../../..');
const program = path.join(root, 'packages/cli/bin/dd2.mjs');
const short = ['phases.tune.updates=6', 'phases.regress.updates=6', 'phases.regress.pairs=32', 'phases.distill.align=2', 'phases.distill.generatorUpdates=4', 'evaluation.everyGeneratorUpdates=2', 'evaluation.samples=100', 'evaluation.finalSamples=100', 'checkpoint.everyUpdates=5'];
const settings = short.flatMap((assignment) => ['--set', assignment]);
const spec = path.join(root, 'configs/chaos.yaml');

let dataDir = '';
let server = '';
let cluster: ChildProcess;
const runIds: string[] = [];

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function dd2(...args: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...args, '--server', server, '--data-dir', dataDir], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

async function ask(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await dd2(...args);
  expect([code, stderr], args.join(' ')).toEqual([0, '']);
  return stdout;
}

const askJson = async <T>(...args: string[]): Promise<T> => JSON.parse(await ask(...args, '--json')) as T;
const linesOf = (text: string): string[] => text.trimEnd().split('\n');

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'dd2-run-commands-'));
  cluster = spawn(process.execPath, [program, 'up', '--workers', '1', '--port', '0', '--data-dir', dataDir], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, DD2_HTTP_PORT: '0' } });
  let text = '';
  server = await new Promise((resolve, reject) => {
    cluster.once('exit', () => reject(new Error(text)));
    cluster.stdout?.on('data', (data: Buffer) => {
      text += data.toString();
      const [, address] = /coordinator at (\S+?),? /.exec(text) ?? [];
      if (address !== undefined) resolve(address);
    });
  });
  runIds.push((await ask('run', 'submit', spec, ...settings)).trim());
  const watched = await ask('run', 'submit', spec, ...settings, '--set', 'seed=1', '--watch');
  runIds.push(linesOf(watched)[0] ?? '');
  expect(watched).toMatch(/done after 30 of 30 updates, FID /);
}, 180_000);
afterAll(async () => {
  cluster.kill('SIGTERM');
  if (cluster.exitCode === null) await once(cluster, 'exit');
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

describe('the commands of a coordinator', () => {
  it('list runs, newest first unless told', async () => {
    const ids = (text: string): string[] => linesOf(text).slice(2).map((line) => line.split(' ')[0] ?? '');
    expect(ids(await ask('run', 'list'))).toEqual([...runIds].reverse());
    expect(ids(await ask('run', 'list', '--sort', 'name'))).toEqual([...runIds].sort());
    expect(ids(await ask('run', 'list', '--state', 'completed', '--limit', '1', '--reverse'))).toEqual([runIds[0]]);
    expect(await ask('run', 'list', '--state', 'paused')).toBe('no such runs\n');
    const runs = await askJson<{ runId: string; state: string; bestFid: number; fidCurve: unknown[] }[]>('run', 'list', '--name', 'CHAOS');
    expect(runs).toHaveLength(2);
    expect(runs[0]).toMatchObject({ runId: runIds[1], state: 'completed', update: 30, totalUpdates: 30, generatorUpdates: 4 });
    expect(runs[0]?.fidCurve.length).toBeGreaterThanOrEqual(2);
  });

  it('show a run whole', async () => {
    const text = await ask('run', 'show', runIds[0] ?? '');
    expect(text).toMatch(/^run +chaos-[^]*^state +completed$[^]*^updates +30 of 30 \(100 %\), 4 generator updates$[^]*^checkpoint +update 30 \([\d.]+ MB/m);
    expect(text).toMatch(/FID of 100 samples[^]*┤/);
    expect(await askJson('run', 'show', runIds[0] ?? '')).toMatchObject({ runId: runIds[0], state: 'completed', checkpoints: expect.arrayContaining([expect.objectContaining({ update: 30, phase: 'distill' })]) as unknown });
  });

  it('tell what happened, in words and in JSON', async () => {
    const lines = linesOf(await ask('run', 'logs', runIds[0] ?? ''));
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +0 {2}submitted +run chaos-\w+ was submitted$/);
    expect(lines.at(-1)).toMatch(/30 {2}completed +/);
    const events = linesOf(await ask('run', 'logs', runIds[0] ?? '', '--json', '--follow')).map((line) => JSON.parse(line) as { sequence: number; kind: string });
    expect(events.map(({ sequence }) => sequence)).toEqual(lines.map((_, i) => i + 1));
    const { stdout, stderr } = await dd2('run', 'logs', runIds[0] ?? '', '--since', '2', '--limit', '3');
    expect(linesOf(stdout)).toEqual(lines.slice(-3));
    expect(stderr).toBe(`${lines.length - 5} earlier events are not shown\n`);
  });

  it('watch a run that has ended: its history, its curve, its outcome', async () => {
    const text = await ask('run', 'watch', runIds[0] ?? '');
    expect(text).toContain('was submitted');
    expect(text).toMatch(/━━ FID of 100 samples[^]*done after 30 of 30 updates, FID [\d.]+ \(100\)\n$/);
    expect(text).not.toContain('\u001b');
  });

  it('compare two runs where they were measured the same way', async () => {
    const text = await ask('run', 'compare', ...runIds);
    expect(text).toMatch(/is better at \d+ of \d+ points/);
    expect(text).toMatch(/━━ chaos-\w+ {3}╺╺ chaos-\w+ {3}over generator updates/);
    const { rows } = await askJson<{ rows: { fids: number[]; difference: number }[] }>('run', 'compare', ...runIds);
    for (const { fids, difference } of rows) expect(difference).toBeCloseTo((fids[1] ?? NaN) - (fids[0] ?? NaN), 12);
  });

  it('list workers', async () => {
    expect(await ask('worker', 'list')).toMatch(/^worker +state +device.*\n-.*\nworker-0 +(idle|busy) +cpu x 1 /);
    expect(await askJson('worker', 'list')).toEqual([expect.objectContaining({ name: 'worker-0', provider: 'cpu', state: expect.stringMatching(/idle|busy/) as string })]);
  });

  it('check the coordinator with the doctor', async () => {
    const { code, stdout } = await dd2('doctor', spec, '--json');
    const { findings } = JSON.parse(stdout) as { findings: { check: string; status: string; message: string }[] };
    const of = (check: string) => findings.find((finding) => finding.check === check);
    expect(of('coordinator')).toMatchObject({ status: 'ok', message: expect.stringContaining(server) as string });
    expect(of('clocks')).toMatchObject({ status: 'ok' });
    expect(of('cpu')).toMatchObject({ status: 'ok' });
    expect(of('assets')).toMatchObject({ status: 'ok' });
    expect(code).toBe(findings.some(({ status }) => status === 'problem') ? 1 : 0);
  });

  it.each([
    [['run', 'show', 'nothing'], 3, 'RUN_NOT_FOUND'],
    [['run', 'logs', 'nothing'], 3, 'RUN_NOT_FOUND'],
    [['run', 'watch', 'nothing'], 3, 'RUN_NOT_FOUND'],
    [['run', 'list', '--token-file', program], 2, 'INVALID_ARGUMENT'],
  ])('exit with what went wrong: %j', async (args, exitCode, code) => {
    const { code: exited, stderr } = await dd2(...args);
    expect(exited, stderr).toBe(exitCode);
    expect(stderr).toMatch(new RegExp(`^error ${code}: .+\\n$`));
  });

  it('exit with 6 for what does not fit, and with 7 for a run that did not reach its end', async () => {
    const cancelled = (await ask('run', 'submit', spec, '--set', 'seed=2')).trim();
    expect(await askJson('run', 'cancel', cancelled)).toMatchObject({ runId: cancelled, state: 'cancelled' });
    const { code, stderr } = await dd2('run', 'watch', cancelled);
    expect((await dd2('run', 'compare', runIds[0] ?? '', cancelled)).code).toBe(6);
    expect([code, stderr]).toEqual([7, `error CANCELLED: run ${cancelled} was cancelled\n`]);
  });
});
