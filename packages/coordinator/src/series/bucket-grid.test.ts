import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketRows, bucketWidth } from './bucket-grid.js';
import { FloatList } from './float-list.js';

const axisOf = (places: readonly number[]): FloatList => new FloatList(Float64Array.from(places));
const places = fc
  .array(fc.oneof(fc.nat(1_000), fc.double({ min: 0, max: 1e9, noNaN: true })), { maxLength: 200, size: 'max' })
  .map((values) => values.toSorted((a, b) => a - b));

describe('bucketRows', () => {
  it('cuts any rows into no more buckets than were asked for, none of them empty, none wider than a half more than its share', () => {
    fc.assert(
      fc.property(places, fc.integer({ min: 1, max: 600 }), fc.boolean(), fc.nat(), fc.nat(), (axis, buckets, logarithmic, a, b) => {
        const from = axis.length === 0 ? 0 : a % axis.length;
        const to = from + (axis.length === 0 ? 0 : b % (axis.length - from + 1));
        const cuts = bucketRows(axisOf(axis), from, to, { buckets, logarithmic });
        expect(cuts.at(-1)).toBe(to);
        expect(cuts.length - 1).toBeLessThanOrEqual(buckets);
        if (from < to) expect(cuts[0]).toBe(from);
        const scale = (place: number): number => (logarithmic ? Math.log2(place) : place);
        const positive = axis.slice(from, to).filter((place) => place > 0);
        const span = positive.length === 0 ? 0 : scale(positive.at(-1) ?? 0) - scale(positive[0] ?? 0);
        cuts.slice(0, -1).forEach((cut, bucket) => {
          const end = cuts[bucket + 1] ?? 0;
          expect(end).toBeGreaterThan(cut);
          const [first, last] = [axis[cut] ?? 0, axis[end - 1] ?? 0];
          if (buckets < 3) return;
          if (first === 0) expect(last).toBe(0);
          else expect(scale(last) - scale(first)).toBeLessThanOrEqual((1.5 * span) / (buckets - 2) + 1e-12 * Math.abs(scale(last)) + 1e-12);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('leaves the buckets as they are while a run grows', () => {
    const axis = axisOf(Array.from({ length: 100_000 }, (_, row) => row + 1));
    const at = (rows: number): number[] => bucketRows(axis, 0, rows, { buckets: 500, logarithmic: false });
    const [before, after] = [at(90_000), at(90_001)];
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    expect(before.length - 1).toBeGreaterThan(250);
  });

  it('has a width for any span', () => {
    expect(bucketWidth(100, 1)).toBe(Infinity);
    expect(bucketWidth(0, 100)).toBe(Infinity);
    for (const span of [1e-300, 0.3, 1, 7, 1e6, 1e300]) {
      const width = bucketWidth(span, 501);
      expect(width).toBeGreaterThan(span / 500);
      expect(width).toBeLessThan((1.3 * span) / 500);
    }
  });
});
