import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createClient, RunService, RunState, SeriesAxis } from '@dd2/proto';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Coordinator } from '../coordinator.js';
import { makeLongRun } from '../testing/long-run.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import type { SeriesRun } from './series-library.js';
import { SeriesReader } from './series-reader.js';
import { parseSeriesRequest, type SeriesQuery } from './series-request.js';

const query: SeriesQuery = { names: ['update.wallMs'], axis: 'updates', buckets: 100, positions: [], logarithmic: false };

describe('SeriesReader', () => {
  it('answers from its thread, follows active runs, and finds its cache again', async () => {
    const dataDir = await temporaryFolder();
    makeLongRun(dataDir, 2_000, { runId: 'run', evaluations: 2, grids: false });
    const run = { runId: 'run', path: join(dataDir, 'runs/run/metrics.jsonl'), active: false };
    let runs: SeriesRun[] = [run];
    const reader = new SeriesReader({ dataDir, runs: () => runs });
    const [answer, bytes, twin] = await Promise.all([reader.answer(run, query), reader.compressedJson(run, query), reader.compressedJson(run, query)]);
    expect(JSON.parse(gunzipSync(bytes).toString())).toEqual(answer);
    expect(Buffer.compare(bytes, twin)).toBe(0);
    runs = [{ ...run, active: true }];
    const line = (await readFile(run.path, 'utf8')).split('\n', 1)[0] ?? '';
    await appendFile(run.path, `${line.replace('"update":0', '"update":2000')}\n`);
    await vi.waitFor(async () => expect((await reader.answer({ ...run, active: true }, query)).updates).toBe(2_001), 10_000);
    await reader.close();
    await expect(reader.answer(run, query)).rejects.toMatchObject({ code: 'UNAVAILABLE' });

    const again = new SeriesReader({ dataDir, runs: () => runs });
    expect((await again.answer(run, query)).updates).toBe(2_001);
    await again.close();
    expect((await readFile(join(dataDir, 'cache/series/run.series'))).length).toBeGreaterThan(1_000);
  });

  it('is what a coordinator answers GetRunSeries with', async () => {
    const dataDir = await temporaryFolder();
    const { spike, skipped } = makeLongRun(dataDir, 5_000, { runId: 'long', evaluations: 3 });
    makeLongRun(dataDir, 100, { runId: 'paused', state: 'paused', evaluations: 1 });
    await writeFile(join(dataDir, 'runs/paused/metrics.jsonl'), '');
    const coordinator = await Coordinator.start({ dataDir, resumeRuns: false });
    onTestFinished(() => coordinator.close());
    const client = createClient(RunService, coordinator.address);
    onTestFinished(() => client.close());
    const { runs } = await client.listRuns({});
    expect(Object.fromEntries(runs.map(({ runId, state }) => [runId, state]))).toEqual({ long: RunState.COMPLETED, paused: RunState.PAUSED });

    const { series, positions, updates, available } = await client.getRunSeries({ runId: 'long', names: [spike.series, 'guidance.gradientNorm', 'generator.gradientNorm', 'tune.gradientNorm', 'regress.gradientNorm'], axis: SeriesAxis.WALL_TIME, buckets: 60, positions: [5_000, 2_500] });
    expect(updates).toBe(5_000);
    expect(Math.max(...(series[0]?.max ?? []))).toBe(spike.value);
    expect(series.slice(1).reduce((sum, { nonFinite }) => sum + nonFinite, 0)).toBe(skipped);
    expect(positions.map(({ update }) => update)).toEqual([5_000, 2_500]);
    expect(positions[0]?.wallSeconds).toBeGreaterThan(3_600);
    expect(positions[1]?.wallSeconds).toBeLessThan(3_600);
    expect(available.find(({ name }) => name === 'update.wallMs')?.points).toBe(5_000);
    const [zoomed] = (await client.getRunSeries({ runId: 'long', names: [spike.series], from: spike.update, to: spike.update })).series;
    expect(zoomed).toMatchObject({ x: [spike.update], min: [spike.value], max: [spike.value], mean: [spike.value], count: [1] });

    expect(await client.getRunSeries({ runId: 'paused' })).toMatchObject({ available: [], series: [], updates: 0 });
    await expect(client.getRunSeries({ runId: '../long' })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(client.getRunSeries({ runId: 'long', buckets: 4_001 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'buckets' });
  });
});

describe('parseSeriesRequest', () => {
  const request = { names: [], axis: SeriesAxis.UNSPECIFIED, buckets: 0, positions: [], logarithmic: false };

  it('fills in what is not said', () => {
    expect(parseSeriesRequest(request)).toEqual({ names: [], axis: 'updates', buckets: 500, positions: [], logarithmic: false, from: undefined, to: undefined });
    expect(parseSeriesRequest({ ...request, axis: SeriesAxis.WALL_TIME, from: 1, to: 1, buckets: 4_000 })).toMatchObject({ axis: 'wallSeconds', from: 1, to: 1, buckets: 4_000 });
  });

  it.each([
    ['names', { names: new Array<string>(65).fill('a') }],
    ['names', { names: ['x'.repeat(201)] }],
    ['axis', { axis: 9 as SeriesAxis }],
    ['from', { from: NaN }],
    ['to', { to: Infinity }],
    ['from', { from: 2, to: 1 }],
    ['buckets', { buckets: 4_001 }],
    ['positions', { positions: new Array<number>(4_097).fill(1) }],
  ])('refuses %s that are not good', (field, more) => {
    expect(() => parseSeriesRequest({ ...request, ...more })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field }) as Error);
  });
});
