import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FloatList } from './float-list.js';
import { SeriesColumn, type Summary } from './series-column.js';

const value = fc.oneof({ weight: 5, arbitrary: fc.double({ min: -100, max: 100, noNaN: true }) }, { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, 0, -0) });
/** appends these, or drops so many of the last ones */
const step = fc.oneof(fc.array(value, { maxLength: 700, size: 'max' }), fc.integer({ min: 0, max: 500 }));

function summarise(column: SeriesColumn, from: number, to: number): Summary {
  const summary = { min: 0, max: 0, sum: 0, count: 0 };
  column.summarise(from, to, summary);
  return summary;
}

describe('SeriesColumn', () => {
  it('summarises any range as its points say, whatever was appended and dropped before', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), fc.array(fc.tuple(fc.nat(3_000), fc.nat(3_000)), { minLength: 1, maxLength: 20 }), (steps, ranges) => {
        const column = new SeriesColumn('tune.loss', new FloatList());
        const points: number[] = [];
        for (const one of steps) {
          if (typeof one === 'number') {
            points.length = Math.max(0, points.length - one);
            column.truncate(points.length);
          } else {
            for (const point of one) column.push(point);
            points.push(...one);
          }
          expect(column.length).toBe(points.length);
          for (const [a, b] of ranges) {
            const [from, to] = [Math.min(a, b, points.length), Math.min(Math.max(a, b), points.length)];
            const finite = points.slice(from, to).filter(Number.isFinite);
            const { min, max, sum, count } = summarise(column, from, to);
            expect(count).toBe(finite.length);
            expect(min).toBe(finite.length === 0 ? Infinity : Math.min(...finite));
            expect(max).toBe(finite.length === 0 ? -Infinity : Math.max(...finite));
            expect(Math.abs(sum - finite.reduce((total, point) => total + point, 0))).toBeLessThan(1e-8);
          }
        }
        // The same points that come at once give the same bits.
        const fresh = new SeriesColumn('tune.loss', new FloatList());
        for (const point of points) fresh.push(point);
        expect(summarise(column, 0, points.length)).toEqual(summarise(fresh, 0, points.length));
        expect([...column.lowest.view()]).toEqual([...fresh.lowest.view()]);
      }),
      { numRuns: 60 },
    );
  });
});
