import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

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

export function startDd2(args: readonly string[]): Dd2Process {
  const child = spawn(process.execPath, [dd2, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
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
export async function runDd2(args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const process = startDd2(args);
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

/** SHA-256 of every tensor file of a run's checkpoint, by file name. */
export async function checkpointHashes(dataDir: string, update: number): Promise<Record<string, string>> {
  const [runId] = await readdir(join(dataDir, 'runs'));
  const folder = join(dataDir, 'runs', runId ?? '', 'checkpoints', String(update));
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, createHash('sha256').update(await readFile(join(folder, name))).digest('hex')] as const)));
}

/** Lines of a run's metrics.jsonl. */
export async function metricsOf(dataDir: string): Promise<Record<string, unknown>[]> {
  const [runId] = await readdir(join(dataDir, 'runs'));
  const text = await readFile(join(dataDir, 'runs', runId ?? '', 'metrics.jsonl'), 'utf8');
  return text.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
}
