import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RunFolder } from '../run-folder.js';
import { placesOf, pointsOf, rawLines, textOf, type RawLine } from '../testing/metrics-lines.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { MetricsFollower } from './metrics-follower.js';
import { answerSeries } from './series-answer.js';
import type { SeriesStore } from './series-store.js';

const line = (update: number, more: Partial<RawLine> = {}): RawLine => ({
  update,
  phase: 'distill',
  network: update % 2 === 0 ? 'guidance' : 'generator',
  generatorUpdates: (update + 1) >> 1,
  samples: 4,
  committed: true,
  skippedUpdates: 0,
  learningRate: 0.1,
  gradientNorm: update,
  losses: { loss: update / 7 },
  workers: 1,
  timing: { wallMs: 10 },
  ...more,
});
const lines = (count: number, more: Partial<RawLine> = {}): RawLine[] => Array.from({ length: count }, (_, update) => line(update, more));

/** Every point of every series, with its place on every axis. */
function contentOf(store: SeriesStore): unknown {
  const rows = Array.from({ length: store.rows }, (_, row) => Object.values(store.axes).map((axis) => axis.at(row)));
  return { rows, state: store.state, columns: store.columns.map(({ name, length, rows: of, values }) => [name, ...Array.from({ length }, (_, point) => [of.at(point), values.at(point)])]) };
}

async function freshly(path: string): Promise<unknown> {
  const follower = new MetricsFollower(path);
  await follower.follow();
  return contentOf(follower.store);
}

async function file(): Promise<string> {
  return join(await temporaryFolder(), 'metrics.jsonl');
}

describe('MetricsFollower', () => {
  it('has what the lines say', async () => {
    const path = await file();
    await fc.assert(
      fc.asyncProperty(rawLines, async (raw) => {
        await writeFile(path, textOf(raw));
        const follower = new MetricsFollower(path);
        await follower.follow();
        const { store } = follower;
        const { updates, generatorUpdates, samples } = placesOf(raw);
        expect([...store.axes.updates.view()]).toEqual(updates);
        expect([...store.axes.generatorUpdates.view()]).toEqual(generatorUpdates);
        expect([...store.axes.samples.view()]).toEqual(samples);
        for (const [name, points] of pointsOf(raw)) {
          const column = store.column(name);
          expect([name, column?.length]).toEqual([name, points.length]);
          points.forEach(({ row, value }, point) => expect([column?.rows.at(point), column?.values.at(point)]).toEqual([row, value]));
        }
        const wall = [...store.axes.wallSeconds.view()];
        expect(wall).toEqual(wall.toSorted((a, b) => a - b));
      }),
      { numRuns: 50 },
    );
  });

  it('has the same when the lines come in pieces, cut anywhere', async () => {
    const path = await file();
    await fc.assert(
      fc.asyncProperty(rawLines, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }), async (raw, cuts) => {
        const text = textOf(raw);
        await rm(path, { force: true });
        const follower = new MetricsFollower(path);
        expect(await follower.follow()).toBe(false);
        let written = 0;
        for (const end of [...cuts.map((cut) => Math.floor(cut * text.length)).sort((a, b) => a - b), text.length]) {
          await appendFile(path, text.slice(written, end));
          written = end;
          await follower.follow();
        }
        expect(contentOf(follower.store)).toEqual(await freshly(path));
        expect(follower.store.rows).toBe(raw.length);
      }),
      { numRuns: 30 },
    );
  });

  it('has what the file has after a resumed run has dropped updates and repeated them otherwise', async () => {
    const dataDir = await temporaryFolder();
    await fc.assert(
      fc.asyncProperty(rawLines, rawLines, fc.nat(), fc.boolean(), async (before, repeated, from, between) => {
        const folder = new RunFolder(dataDir, 'run');
        await folder.create();
        const path = folder.file('metrics.jsonl');
        await writeFile(path, `${textOf(before)}{"update":3,"ph`); // a crash cut the last line off
        const follower = new MetricsFollower(path);
        await follower.follow();
        const update = from % ((before.at(-1)?.update ?? 0) + 2);
        await folder.truncateMetrics(update);
        if (between) {
          await follower.follow();
          expect(contentOf(follower.store)).toEqual(await freshly(path));
          expect(follower.store.updates).toBeLessThanOrEqual(update);
        }
        for (const one of repeated) await folder.append('metrics.jsonl', { ...one, update: one.update + update });
        await follower.follow();
        expect(contentOf(follower.store)).toEqual(await freshly(path));
      }),
      { numRuns: 30 },
    );
  });

  it('goes back no further than to the last mark that is still true', async () => {
    const path = await file();
    const all = lines(20_000);
    await writeFile(path, textOf(all));
    const follower = new MetricsFollower(path);
    await follower.follow();
    expect(follower.marks.map(({ state }) => state.rows)).toEqual([8_192, 16_384, 20_000]);
    // The end was repeated otherwise; the lines before it are the same.
    const repeated = Array.from({ length: 1_500 }, (_, index) => line(16_500 + index, { losses: { loss: -index / 7 } }));
    await rm(path);
    await writeFile(path, textOf([...all.slice(0, 16_500), ...repeated]));
    expect(await follower.follow()).toBe(true);
    expect(contentOf(follower.store)).toEqual(await freshly(path));
    expect(follower.marks.map(({ state }) => state.rows)).toEqual([8_192, 16_384, 18_000]);
    await rm(path);
    expect(await follower.follow()).toBe(true);
    expect(follower.store.rows).toBe(0);
    expect(follower.marks).toEqual([]);
  });

  it('leaves out what is no update: cut-off, foreign and repeated lines', async () => {
    const path = await file();
    const odd = ['{"upda', '', '[]', 'null', '7', '{"update":-1,"phase":"tune","network":"generator"}', '{"update":0.5,"phase":"tune","network":"generator"}', '{"update":9}', '{"update":1e300,"phase":"tune","network":"generator"}', '\u0000\u0000\u0000'];
    const good = lines(40);
    await writeFile(path, good.map((one, index) => `${odd[index % odd.length]}\n${JSON.stringify(one)}\n${index % 7 === 0 ? `${JSON.stringify(good[index >> 1])}\n` : ''}`).join(''));
    const clean = join(await temporaryFolder(), 'clean.jsonl');
    await writeFile(clean, textOf(good));
    expect(await freshly(path)).toEqual(await freshly(clean));
  });

  it('reads lines that are longer than a piece', async () => {
    const path = await file();
    await writeFile(path, `${textOf(lines(3))}${'x'.repeat(3 << 20)}\n${JSON.stringify({ ...line(3), note: 'y'.repeat(5 << 20) })}\n${textOf([line(4)])}`);
    const follower = new MetricsFollower(path);
    await follower.follow();
    expect(follower.store.updates).toBe(5);
    expect(follower.store.rows).toBe(5);
  });

  it('measures wall time from the beginning of the first update, pauses included, and never turns around', async () => {
    const path = await file();
    const wallOf = async (clock: readonly (number | undefined)[]): Promise<number[]> => {
      await writeFile(path, textOf(clock.map((at, update) => line(update, at === undefined ? {} : { at: 1_000_000 + at }))));
      const follower = new MetricsFollower(path);
      await follower.follow();
      return [...follower.store.axes.wallSeconds.view()];
    };
    expect(await wallOf([undefined, undefined, undefined])).toEqual([0.01, 0.02, 0.03]); // an older run
    expect(await wallOf([0, 12, 3_600_012])).toEqual([0.01, 0.022, 3_600.022]);
    expect(await wallOf([0, 12, -500_000, -499_988])).toEqual([0.01, 0.022, 0.032, 0.044]); // the clock was set back
    expect(await wallOf([undefined, undefined, 500, 600])).toEqual([0.01, 0.02, 0.03, 0.13]); // resumed by a newer version
  });

  it('tells how often the guidance network was really updated', async () => {
    const path = await file();
    const kinds = [
      ['align', 'guidance'], // before distill: does not count
      ['distill', 'guidance'],
      ['distill', 'guidance'],
      ['distill', 'generator'],
      ['distill', 'guidance', false], // skipped
      ['distill', 'guidance'],
      ['distill', 'generator'],
      ['align', 'guidance'], // a re-alignment counts
      ['distill', 'generator', false],
      ['distill', 'generator'],
    ] as const;
    await writeFile(path, textOf(kinds.map(([phase, network, committed = true], update) => line(update, { phase, network, committed }))));
    const follower = new MetricsFollower(path);
    await follower.follow();
    const query = { names: ['update.guidancePerGenerator', 'update.updatesPerSecond', 'update.samplesPerSecond'], axis: 'updates', buckets: 500, positions: [], logarithmic: false } as const;
    const [frequency, updates, samples] = answerSeries(follower.store, query).series;
    expect(frequency).toMatchObject({ x: [4, 7, 10], mean: [2, 1.5, 4 / 3] });
    expect(updates?.mean).toEqual(kinds.map(() => expect.closeTo(100, 9) as number));
    expect(samples?.mean).toEqual(kinds.map(() => expect.closeTo(400, 9) as number));
    // 50 generator updates later nothing of the beginning is left.
    await writeFile(path, textOf(lines(300)));
    await follower.follow();
    expect(answerSeries(follower.store, query).series[0]?.mean.at(-1)).toBe(1);
  });
});
