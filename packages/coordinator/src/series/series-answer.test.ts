import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pointsOf, rawLines, textOf, type RawLine } from '../testing/metrics-lines.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { MetricsFollower } from './metrics-follower.js';
import { parseMetricsLine } from './metrics-line.js';
import { answerSeries } from './series-answer.js';
import type { SeriesQuery } from './series-request.js';
import { seriesAxes, SeriesStore } from './series-store.js';

function storeOf(lines: readonly RawLine[]): SeriesStore {
  const store = new SeriesStore();
  for (const line of lines) {
    const parsed = parseMetricsLine(JSON.stringify(line));
    if (parsed) store.append(parsed);
  }
  return store;
}

const plain: SeriesQuery = { names: [], axis: 'updates', buckets: 500, positions: [], logarithmic: false };

describe('answerSeries', () => {
  it('keeps every extreme, every count and every range, on every axis', () => {
    fc.assert(
      fc.property(rawLines, fc.constantFrom(...seriesAxes), fc.integer({ min: 1, max: 120 }), fc.boolean(), fc.option(fc.tuple(fc.nat(), fc.nat()), { nil: undefined }), (lines, axis, buckets, logarithmic, range) => {
        const store = storeOf(lines);
        const places = [...store.axes[axis].view()];
        const ends = range && places.length > 0 ? range.map((one) => places[one % places.length] ?? 0).sort((a, b) => a - b) : [undefined, undefined];
        const [from, to] = ends;
        const points = pointsOf(lines);
        const answer = answerSeries(store, { ...plain, names: [...points.keys()], axis, buckets, logarithmic, from, to });
        expect(answer.updates).toBe((lines.at(-1)?.update ?? -1) + 1);
        expect(Object.fromEntries(answer.available.map(({ name, points: count }) => [name, count]))).toMatchObject(Object.fromEntries([...points].map(([name, all]) => [name, all.length])));
        for (const series of answer.series) {
          const inside = (points.get(series.name) ?? []).map(({ row, value }) => ({ x: places[row] ?? NaN, value })).filter(({ x }) => x >= (from ?? -Infinity) && x <= (to ?? Infinity));
          const finite = inside.filter(({ value }) => Number.isFinite(value));
          expect(series.nonFinite).toBe(inside.length - finite.length);
          expect(series.x.length).toBeLessThanOrEqual(buckets);
          expect(series.x).toEqual(series.x.toSorted((a, b) => a - b));
          // The buckets are neighbouring points, all of them.
          let next = 0;
          series.count.forEach((count, bucket) => {
            const own = finite.slice(next, next + count);
            next += count;
            const values = own.map(({ value }) => value);
            expect(series.x[bucket]).toBe(own[0]?.x);
            expect(series.min[bucket]).toBe(Math.min(...values));
            expect(series.max[bucket]).toBe(Math.max(...values));
            const [min = 0, max = 0, mean = NaN] = [series.min[bucket], series.max[bucket], series.mean[bucket]];
            expect(mean).toBeGreaterThanOrEqual(min);
            expect(mean).toBeLessThanOrEqual(max);
            const total = values.reduce((sum, value) => sum + value, 0);
            if (values.every((value) => Math.abs(value) <= 10)) expect(mean).toBeCloseTo(total / count, 9);
            if (count === 1) expect([min, max, mean]).toEqual([values[0], values[0], values[0]]);
          });
          expect(next).toBe(finite.length);
          // Nothing is reduced that need not be.
          if (inside.length <= buckets) expect(series.x).toEqual([...new Set(finite.map(({ x }) => x))]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('finds the place of an update on every axis', () => {
    const lines: RawLine[] = [0, 1, 4].map((update) => ({ update, phase: 'distill', network: 'generator', at: 5_000 + 1_000 * update, generatorUpdates: update + 1, samples: 10, committed: true, skippedUpdates: 0, learningRate: 0, gradientNorm: 1, losses: {}, workers: 1, timing: { wallMs: 500 } }));
    expect(answerSeries(storeOf(lines), { ...plain, positions: [5, 0, 1, 3, 6, 2] }).positions).toEqual([
      { update: 5, generatorUpdates: 5, samples: 30, wallSeconds: 4.5 },
      { update: 0, generatorUpdates: 0, samples: 0, wallSeconds: 0 },
      { update: 1, generatorUpdates: 1, samples: 10, wallSeconds: 0.5 },
      { update: 3, generatorUpdates: 2, samples: 20, wallSeconds: 1.5 }, // its line is missing
      { update: 2, generatorUpdates: 2, samples: 20, wallSeconds: 1.5 },
    ]);
    expect(answerSeries(new SeriesStore(), { ...plain, names: ['tune.loss', '__proto__', 'update.'], positions: [0, 1] })).toEqual({
      available: [],
      series: ['tune.loss', '__proto__', 'update.'].map((name) => ({ name, x: [], min: [], max: [], mean: [], count: [], nonFinite: 0 })),
      positions: [{ update: 0, generatorUpdates: 0, samples: 0, wallSeconds: 0 }],
      updates: 0,
    });
  });

  it('lets no sum overflow into a mean', () => {
    const lines = Array.from({ length: 40 }, (_, update): RawLine => ({ update, phase: 'tune', network: 'generator', generatorUpdates: 0, samples: 1, committed: true, skippedUpdates: 0, learningRate: 1, gradientNorm: 1.5e308, losses: { loss: update % 2 === 0 ? 1.7e308 : null }, workers: 1, timing: {} }));
    const [norm, loss] = answerSeries(storeOf(lines), { ...plain, names: ['tune.gradientNorm', 'tune.loss'], buckets: 2 }).series;
    for (const mean of [...(norm?.mean ?? []), ...(loss?.mean ?? [])]) expect(mean).toBeGreaterThan(1e308);
    expect(loss?.nonFinite).toBe(20);
  });

  it('answers from a file as from its lines', async () => {
    const path = join(await temporaryFolder(), 'metrics.jsonl');
    await fc.assert(
      fc.asyncProperty(rawLines, async (lines) => {
        await writeFile(path, textOf(lines));
        const follower = new MetricsFollower(path);
        await follower.follow();
        const query = { ...plain, names: [...pointsOf(lines).keys()], buckets: 37, positions: [1, 2, 3] };
        expect(answerSeries(follower.store, query)).toEqual(answerSeries(storeOf(lines), query));
      }),
      { numRuns: 20 },
    );
  });
});
