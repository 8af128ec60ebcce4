import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

/** What a run came to: all of it must be the same, whatever happened on the way. */
export interface RunOutcome {
  /** update of the newest checkpoint */
  readonly update: number;
  /** SHA-256 of each of its tensor files */
  readonly sha256: Readonly<Record<string, string>>;
  /** FID of each evaluation, by its name */
  readonly fid: Readonly<Record<string, number>>;
  /** updates in the order in which metrics.jsonl has them */
  readonly updates: readonly number[];
}

const evaluation = z.object({ fid: z.number() });
const metrics = z.object({ update: z.number() });
const REQUEST = '.request.json';
const RESULT = '.json';

/** Reads a run that has ended from its folder. */
export async function readOutcome(dataDir: string, runId: string): Promise<RunOutcome> {
  const folder = path.join(dataDir, 'runs', runId);
  const update = Math.max(-1, ...(await readdir(path.join(folder, 'checkpoints'))).filter((name) => /^\d+$/.test(name)).map(Number));
  const checkpoint = path.join(folder, 'checkpoints', String(update));
  const sha256: Record<string, string> = {};
  for (const name of (await readdir(checkpoint)).sort()) {
    if (name.endsWith('.safetensors')) sha256[name] = await hashOf(path.join(checkpoint, name));
  }
  const fid: Record<string, number> = {};
  for (const name of (await readdir(path.join(folder, 'evaluations'))).sort()) {
    if (!name.endsWith(RESULT) || name.endsWith(REQUEST)) continue;
    fid[name.slice(0, -RESULT.length)] = evaluation.parse(JSON.parse(await readFile(path.join(folder, 'evaluations', name), 'utf8'))).fid;
  }
  const lines = (await readFile(path.join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return { update, sha256, fid, updates: lines.map((line) => metrics.parse(JSON.parse(line)).update) };
}

/** In what a run differs from the undisturbed run of the same spec, in words; nothing when it does not. */
export function differencesOf(run: RunOutcome, undisturbed: RunOutcome): string[] {
  const files = [...new Set([...Object.keys(undisturbed.sha256), ...Object.keys(run.sha256)])];
  const evaluations = [...new Set([...Object.keys(undisturbed.fid), ...Object.keys(run.fid)])];
  const misplaced = run.updates.findIndex((update, index) => update !== index);
  return [
    ...(run.update === undisturbed.update ? [] : [`it ended with checkpoint ${run.update} instead of ${undisturbed.update}`]),
    ...files.filter((name) => run.sha256[name] !== undisturbed.sha256[name]).map((name) => `${name} of checkpoint ${run.update} is another one`),
    ...evaluations.filter((name) => run.fid[name] !== undisturbed.fid[name]).map((name) => `evaluation ${name} has FID ${run.fid[name] ?? 'none'} instead of ${undisturbed.fid[name] ?? 'none'}`),
    ...(misplaced < 0 ? [] : [`metrics.jsonl has update ${run.updates[misplaced]} where ${misplaced} belongs`]),
    ...(run.updates.length === undisturbed.updates.length ? [] : [`metrics.jsonl has ${run.updates.length} updates instead of ${undisturbed.updates.length}`]),
  ];
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}
