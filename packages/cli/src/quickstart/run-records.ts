import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

/** What the quickstart reads of a run's folder. */
export interface RunRecords {
  readonly events: readonly RunRecordEvent[];
  readonly metrics: readonly RunRecordMetrics[];
}

const event = z.object({ at: z.iso.datetime(), kind: z.string(), state: z.string(), phase: z.string(), update: z.number() });
const metrics = z.object({ update: z.number(), phase: z.string(), timing: z.object({ wallMs: z.number(), overhead: z.number() }) });
const evaluation = z.object({
  update: z.number(),
  generatorUpdates: z.number(),
  sampler: z.string(),
  fid: z.number(),
  samples: z.number(),
  classCounts: z.array(z.number()),
  accuracy: z.number(),
  noiseSeed: z.number(),
  millisecondsPerImage: z.number(),
});

export type RunRecordEvent = z.infer<typeof event>;
export type RunRecordMetrics = z.infer<typeof metrics>;
export type RunRecordEvaluation = z.infer<typeof evaluation>;

export async function readRunRecords(folder: string): Promise<RunRecords> {
  return { events: await readLines(path.join(folder, 'events.jsonl'), event), metrics: await readLines(path.join(folder, 'metrics.jsonl'), metrics) };
}

/** The evaluation that the run itself wrote after `update` updates, if it did. */
export async function readEvaluation(folder: string, update: number): Promise<RunRecordEvaluation | undefined> {
  const text = await readFile(path.join(folder, 'evaluations', `${update}.json`), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : evaluation.parse(JSON.parse(text));
}

/** A line that a crash cut off is left out. */
async function readLines<T>(file: string, schema: z.ZodType<T>): Promise<T[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      const parsed = schema.safeParse(JSON.parse(line));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}

/** Wall-clock seconds of each phase over all attempts; the time between attempts does not count. */
export function phaseSeconds(events: readonly RunRecordEvent[]): Record<string, number> {
  const seconds: Record<string, number> = {};
  let phase = '';
  let since: number | undefined;
  for (const { at, kind, state, phase: next } of events) {
    const now = Date.parse(at);
    // An attempt that was killed has no last event: what lies before the next start is no work.
    if (since !== undefined && phase !== '' && kind !== 'started') seconds[phase] = (seconds[phase] ?? 0) + (now - since) / 1_000;
    if (kind === 'phase' || kind === 'resumed') phase = next;
    since = state === 'running' || state === 'pausing' ? now : undefined;
  }
  return seconds;
}

/** Share of the updates' wall-clock time in which no worker computed for them. */
export function overheadShare(updates: readonly RunRecordMetrics[]): number {
  const wall = updates.reduce((sum, { timing }) => sum + timing.wallMs, 0);
  return wall === 0 ? 0 : updates.reduce((sum, { timing }) => sum + timing.wallMs * timing.overhead, 0) / wall;
}
