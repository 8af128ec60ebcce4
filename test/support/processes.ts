import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const root = resolve(import.meta.dirname, '../..');
const dd2 = join(root, 'packages/cli/bin/dd2.mjs');

/** A running `dd2` process and what it has printed. */
export interface Dd2Process {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** exit code, once it has ended */
  readonly exit: Promise<number | null>;
  /** Resolves when the output matches; rejects when the process ends before. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
}

/** @param through a command that starts the one that follows it, such as `ip netns exec` */
export function startDd2(args: readonly string[], environment: NodeJS.ProcessEnv = {}, through: readonly string[] = [], cwd = root): Dd2Process {
  const [command = '', ...rest] = [...through, process.execPath, dd2, ...args];
  const child = spawn(command, rest, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DD2_HTTP_PORT: '0', ...environment } });
  let text = '';
  const listeners = new Set<() => void>();
  const hear = (chunk: Buffer): void => {
    text += chunk.toString();
    for (const listener of listeners) listener();
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const exit = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    output: () => text,
    exit,
    until: (pattern) =>
      new Promise((resolveMatch, reject) => {
        const check = (): void => {
          const match = pattern.exec(text);
          if (!match) return;
          listeners.delete(check);
          resolveMatch(match);
        };
        listeners.add(check);
        check();
        void exit.then((code) => reject(new Error(`dd2 ${args.join(' ')} ended with ${code} before it printed ${pattern}:\n${text}`)));
      }),
  };
}

/** Runs `dd2` to its end. */
export async function runDd2(args: readonly string[], cwd = root): Promise<{ readonly code: number | null; readonly output: string }> {
  const process = startDd2(args, {}, [], cwd);
  const code = await process.exit;
  return { code, output: process.output() };
}

/** Process ids of the direct children of a process (Linux). */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter((id) => id !== '').map(Number);
}

/** A data folder that is removed with `dispose`. */
export async function temporaryFolder(): Promise<{ readonly path: string; dispose(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'dd2-test-'));
  return { path, dispose: () => rm(path, { recursive: true, force: true }) };
}

/** The folder of a run: that of the only one unless told. */
async function folderOf(dataDir: string, runId?: string): Promise<string> {
  return join(dataDir, 'runs', runId ?? (await readdir(join(dataDir, 'runs')))[0] ?? '');
}

/** SHA-256 of every tensor file of a run's checkpoint, by file name. */
export async function checkpointHashes(dataDir: string, update: number, runId?: string): Promise<Record<string, string>> {
  const folder = join(await folderOf(dataDir, runId), 'checkpoints', String(update));
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, createHash('sha256').update(await readFile(join(folder, name))).digest('hex')] as const)));
}

/** Lines of a run's metrics.jsonl. */
export async function metricsOf(dataDir: string, runId?: string): Promise<Record<string, unknown>[]> {
  return linesOf(join(await folderOf(dataDir, runId), 'metrics.jsonl'));
}

/** Lines of a run's events.jsonl. */
export async function eventsOf(dataDir: string, runId?: string): Promise<Record<string, unknown>[]> {
  return linesOf(join(await folderOf(dataDir, runId), 'events.jsonl'));
}

/** FID of each evaluation that a run has complete, by its name. */
export async function fidsOf(dataDir: string, runId?: string): Promise<Record<string, number>> {
  const folder = join(await folderOf(dataDir, runId), 'evaluations');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json') && !name.endsWith('.request.json')).sort();
  const read = async (name: string): Promise<[string, number]> => [name.slice(0, -'.json'.length), (JSON.parse(await readFile(join(folder, name), 'utf8')) as { fid: number }).fid];
  return Object.fromEntries(await Promise.all(names.map(read)));
}

/** Complete lines: one that is just being written, or that a crash cut off, is left out. No file has none. */
async function linesOf(file: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Looks again and again until there is something; the test's own time limit ends it. */
export async function eventually<T>(look: () => Promise<T | undefined> | T | undefined, everyMs = 20): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(everyMs);
  }
}
