import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pointsOf, rawLines, textOf } from '../testing/metrics-lines.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { MetricsFollower } from './metrics-follower.js';
import { answerSeries } from './series-answer.js';
import { DamagedSeriesCache, openSeriesCache, writeSeriesCache } from './series-cache.js';
import type { SeriesQuery } from './series-request.js';

/** A metrics.jsonl and a cache of it. */
async function cached(text: string): Promise<{ metrics: string; cache: string; follower: MetricsFollower }> {
  const folder = await temporaryFolder();
  const [metrics, cache] = [join(folder, 'metrics.jsonl'), join(folder, 'derived', 'run.series')];
  await writeFile(metrics, text);
  const follower = new MetricsFollower(metrics);
  await follower.follow();
  writeSeriesCache(cache, follower.store, follower.marks);
  return { metrics, cache, follower };
}

const queryOf = (names: Iterable<string>, buckets = 20): SeriesQuery => ({ names: [...names], axis: 'wallSeconds', buckets, positions: [1, 5, 100], logarithmic: false });
const someLines = fc.sample(rawLines, { seed: 7, numRuns: 40 }).find((lines) => lines.length > 200) ?? [];

describe('the cache of series', () => {
  it('answers as the lines do, and goes on where it ends', async () => {
    await fc.assert(
      fc.asyncProperty(rawLines, fc.double({ min: 0, max: 1, noNaN: true }), async (lines, share) => {
        const part = Math.max(1, Math.floor(share * lines.length));
        const { metrics, cache, follower } = await cached(textOf(lines.slice(0, part)));
        const opened = openSeriesCache(cache);
        expect(opened === undefined).toBe(lines.length === 0); // there is nothing to keep
        if (!opened) return;
        const query = queryOf(pointsOf(lines).keys());
        expect(answerSeries(opened.store, query)).toEqual(answerSeries(follower.store, query));
        await writeFile(metrics, textOf(lines));
        const [continued, fresh] = [new MetricsFollower(metrics, opened.store, opened.marks), new MetricsFollower(metrics)];
        await continued.follow();
        await fresh.follow();
        expect(answerSeries(continued.store, query)).toEqual(answerSeries(fresh.store, query));
        expect(continued.store.state).toEqual(fresh.store.state);
        expect(continued.marks.at(-1)).toEqual(fresh.marks.at(-1));
        opened.close();
      }),
      { numRuns: 25 },
    );
  });

  it('takes no part of it for what it is not, wherever a bit has flipped', async () => {
    const { cache, follower } = await cached(textOf(someLines));
    const query = queryOf(follower.store.columns.map(({ name }) => name), 4_000); // needs every value
    const answer = answerSeries(follower.store, query);
    const bytes = await readFile(cache);
    let unseen = 0;
    for (let at = 0; at < bytes.length; at += at < 32 ? 1 : 101) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(cache, flipped);
      const opened = openSeriesCache(cache);
      if (!opened) continue;
      try {
        expect(answerSeries(opened.store, query)).toEqual(answer);
        unseen += 1; // what fills up to a multiple of 8 bytes
      } catch (error) {
        expect(error).toBeInstanceOf(DamagedSeriesCache);
      } finally {
        opened.close();
      }
    }
    expect(unseen).toBeLessThan(3);
  });

  it('is not used when it is cut off, of another version, or another file', async () => {
    const { cache } = await cached(textOf(someLines));
    const bytes = await readFile(cache);
    const { size } = await stat(cache);
    for (const length of [0, 3, 16, 40, size >> 1, size - 1]) {
      await writeFile(cache, bytes);
      await truncate(cache, length);
      expect(openSeriesCache(cache)).toBeUndefined();
    }
    const other = Buffer.from(bytes);
    other.writeUInt32LE(other.readUInt32LE(4) + 1, 4);
    for (const content of [other, Buffer.concat([bytes, Buffer.alloc(8)]), Buffer.alloc(size, 0xff), Buffer.alloc(size), Buffer.from('{}')]) {
      await writeFile(cache, content);
      expect(openSeriesCache(cache)).toBeUndefined();
    }
    expect(openSeriesCache(join(cache, 'none'))).toBeUndefined();
    await writeFile(cache, bytes);
    expect(openSeriesCache(cache)).toBeDefined();
  });
});
