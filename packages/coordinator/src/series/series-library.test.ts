import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GetRunSeriesResponseSchema } from '@dd2/proto';
import { create, toJson, type JsonValue } from '@dd2/proto/json';
import { describe, expect, it } from 'vitest';
import { makeLongRun } from '../testing/long-run.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { SeriesLibrary, type SeriesRun } from './series-library.js';
import type { SeriesQuery } from './series-request.js';

const names = ['generator.gap', 'guidance.loss', 'update.computeMs', 'tune.loss', 'generator.gradientNorm'];
const query: SeriesQuery = { names, axis: 'updates', buckets: 100, positions: [1, 1_000], logarithmic: false };

async function longRuns(...counts: number[]): Promise<{ dataDir: string; cacheDir: string; runs: SeriesRun[]; cacheOf: (run: SeriesRun) => string }> {
  const dataDir = await temporaryFolder();
  const cacheDir = join(dataDir, 'cache', 'series');
  const runs = counts.map((updates, index): SeriesRun => {
    const runId = `run-${index}`;
    makeLongRun(dataDir, updates, { runId, seed: index, evaluations: 2, grids: false });
    return { runId, path: join(dataDir, 'runs', runId, 'metrics.jsonl'), active: false };
  });
  return { dataDir, cacheDir, runs, cacheOf: ({ runId }) => join(cacheDir, `${runId}.series`) };
}

const jsonOf = (bytes: Uint8Array): JsonValue => JSON.parse(gunzipSync(bytes).toString()) as JsonValue;

describe('SeriesLibrary', () => {
  it('answers from a cache as from the lines, also when any part of the cache is damaged', async () => {
    const { cacheDir, runs, cacheOf } = await longRuns(3_000);
    const [run] = runs as [SeriesRun];
    const library = new SeriesLibrary({ cacheDir });
    const answer = await library.answer(run, query);
    expect(answer.series.map(({ x }) => x.length > 50)).toEqual([true, true, true, false, true]);
    library.close();
    const bytes = await readFile(cacheOf(run));
    for (let part = -1; part < 40; part++) {
      const damaged = Buffer.from(bytes);
      if (part >= 0) damaged.fill(0x55, Math.floor((part * bytes.length) / 40), Math.floor((part * bytes.length) / 40) + 64);
      await writeFile(cacheOf(run), damaged);
      const again = new SeriesLibrary({ cacheDir });
      // Both at once: they find the damage one after the other.
      const [first, second] = await Promise.all([again.answer(run, query), again.answer(run, { ...query, from: 1_500, to: 1_599 })]);
      expect(first).toEqual(answer);
      expect(second.series[2]?.x).toHaveLength(100);
      again.close();
    }
  });

  it('answers where no cache can be written or removed', async () => {
    const { cacheDir, runs, cacheOf } = await longRuns(3_000);
    const [run] = runs as [SeriesRun];
    const library = new SeriesLibrary({ cacheDir });
    const answer = await library.answer(run, query);
    library.close();
    await rm(cacheOf(run));
    await mkdir(join(cacheOf(run), 'not-empty'), { recursive: true }); // rm of a file fails, as does writing one
    await mkdir(join(cacheDir, 'stray'));
    const again = new SeriesLibrary({ cacheDir });
    again.prune([]);
    expect(await again.answer(run, query)).toEqual(answer);
    again.close();
  });

  it('is right while the run grows, is cut and is asked at the same time', async () => {
    const { cacheDir, runs } = await longRuns(4_000);
    const [run] = runs as [SeriesRun];
    const lines = (await readFile(run.path, 'utf8')).trim().split('\n');
    await rm(run.path);
    const library = new SeriesLibrary({ cacheDir });
    let written = 0;
    for (let step = 0; step < 12; step++) {
      const asked = Promise.all(Array.from({ length: 5 }, () => library.answer(run, query)));
      await appendFile(run.path, lines.slice(written, (written += 400)).map((line) => `${line}\n`).join(''));
      for (const { updates, series } of await asked) {
        expect(updates).toBeGreaterThanOrEqual(written - 400);
        expect(series[2]?.count.reduce((sum, count) => sum + count, 0)).toBe(updates);
      }
      expect((await library.answer(run, query)).updates).toBe(Math.min(written, 4_000));
      if (step === 6) await writeFile(run.path, lines.slice(0, (written = 1_234)).map((line) => `${line}\n`).join(''));
    }
    const fresh = new SeriesLibrary({ cacheDir: join(cacheDir, 'other') });
    expect(await library.answer(run, query)).toEqual(await fresh.answer(run, query));
    library.close();
    fresh.close();
  });

  it('gives the JSON form of the message, and the same bytes to all who ask the same', async () => {
    const { cacheDir, runs } = await longRuns(2_000);
    const [run] = runs as [SeriesRun];
    const library = new SeriesLibrary({ cacheDir });
    for (const asked of [query, { ...query, names: [] }, { ...query, names: ['no.such', '"</script>'], buckets: 1 }]) {
      const bytes = await library.compressedJson(run, asked);
      const message = create(GetRunSeriesResponseSchema, await library.answer(run, asked));
      expect(jsonOf(bytes)).toEqual(toJson(GetRunSeriesResponseSchema, message, { alwaysEmitImplicit: true }));
      expect(await library.compressedJson(run, asked)).toBe(bytes);
    }
    const before = await library.compressedJson(run, query);
    await appendFile(run.path, `${JSON.stringify({ ...(JSON.parse((await readFile(run.path, 'utf8')).trim().split('\n').at(-1) ?? '') as object), update: 2_000 })}\n`);
    const after = await library.compressedJson(run, query);
    expect(after).not.toBe(before);
    expect(jsonOf(after)).toMatchObject({ updates: 2_001 });
    library.close();
  });

  it('looks at an active run once in a while only', async () => {
    const { cacheDir, runs } = await longRuns(200);
    const [run] = runs as [SeriesRun];
    const active = { ...run, active: true };
    const library = new SeriesLibrary({ cacheDir, freshMs: 3_600_000 });
    await library.follow([active]);
    await rm(run.path);
    expect((await library.answer(active, query)).updates).toBe(200);
    expect((await library.answer(run, query)).updates).toBe(0); // it has ended: its file counts as it is
    library.close();
  });

  it('keeps within its memory, and lets go of what nobody uses', async () => {
    const { cacheDir, runs } = await longRuns(3_000, 3_000, 3_000);
    const library = new SeriesLibrary({ cacheDir, memoryBytes: 700_000, idleMs: 0 });
    const answers = [];
    for (const run of [...runs, ...runs, ...runs]) {
      answers.push(await library.answer(run, query));
      expect(library.openRuns).toContain(run.runId);
      expect(library.bytes).toBeLessThan(1_500_000);
    }
    expect(library.openRuns.length).toBeLessThan(3);
    expect(answers.slice(3, 6)).toEqual(answers.slice(0, 3));
    expect((await readdir(cacheDir)).sort()).toEqual(['run-0.series', 'run-1.series', 'run-2.series']);
    await new Promise((resolve) => setTimeout(resolve, 2));
    library.dropIdle();
    expect([library.openRuns, library.bytes]).toEqual([[], 0]);
    library.prune(['run-1']);
    expect(await readdir(cacheDir)).toEqual(['run-1.series']);
  });

  it('prepares long runs before somebody asks', async () => {
    const { cacheDir, runs } = await longRuns(17_000, 300);
    const [long, short] = runs as [SeriesRun, SeriesRun];
    const library = new SeriesLibrary({ cacheDir });
    const unreadable = { ...short, runId: 'unreadable', path: 'a\0b' }; // one that is must not keep the others from it
    await expect(library.prepare([unreadable, short, long, { ...long, runId: 'none', path: `${long.path}.none` }])).rejects.toThrow('null bytes');
    expect([library.openRuns, await readdir(cacheDir)]).toEqual([[], ['run-0.series']]);
    const { mtimeMs } = await stat(join(cacheDir, 'run-0.series'));
    await library.prepare(runs);
    expect((await stat(join(cacheDir, 'run-0.series'))).mtimeMs).toBe(mtimeMs);
    expect((await library.answer(long, query)).updates).toBe(17_000);
    library.close();
  });

  it('does without a cache that cannot be written', async () => {
    const { dataDir, cacheDir, runs } = await longRuns(1_000);
    const [run] = runs as [SeriesRun];
    await writeFile(join(dataDir, 'cache'), 'a file where the folder belongs');
    const library = new SeriesLibrary({ cacheDir });
    expect((await library.answer(run, query)).updates).toBe(1_000);
    library.prune([]);
    library.close();
  });

  it('says so when metrics cannot be read, and goes on when they can', async () => {
    const { cacheDir, runs } = await longRuns(100, 100);
    const [run, other] = runs as [SeriesRun, SeriesRun];
    await rm(run.path);
    await mkdir(run.path);
    const library = new SeriesLibrary({ cacheDir });
    await expect(library.answer(run, query)).rejects.toThrow('EISDIR');
    await expect(library.follow([run, other])).rejects.toThrow('EISDIR');
    expect(library.openRuns).toContain(other.runId);
    await rm(run.path, { recursive: true });
    expect((await library.answer(run, query)).updates).toBe(0);
    library.close();
  });
});
