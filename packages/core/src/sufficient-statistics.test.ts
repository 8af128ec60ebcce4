import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyStatistics, meanAndCovariance, mergeStatistics, withoutStatistics, type SufficientStatistics } from './sufficient-statistics.js';

/** Small integers, so that every sum is exact and bits can be compared. */
const sample = fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 3, maxLength: 3 });
const samples = fc.array(sample, { minLength: 0, maxLength: 12 });

function statisticsOf(rows: readonly (readonly number[])[]): SufficientStatistics {
  return {
    count: rows.length,
    sum: Float64Array.from([0, 1, 2], (i) => rows.reduce((total, row) => total + (row[i] ?? 0), 0)),
    outer: Float64Array.from({ length: 9 }, (_, k) => rows.reduce((total, row) => total + (row[Math.floor(k / 3)] ?? 0) * (row[k % 3] ?? 0), 0)),
  };
}

describe('mergeStatistics', () => {
  it('equals the statistics of the whole set, however it is cut and in whichever order parts arrive', () => {
    fc.assert(
      fc.property(samples, samples, samples, (a, b, c) => {
        const [x, y, z] = [statisticsOf(a), statisticsOf(b), statisticsOf(c)];
        const whole = statisticsOf([...a, ...b, ...c]);
        expect(mergeStatistics(mergeStatistics(x, y), z)).toEqual(whole);
        expect(mergeStatistics(x, mergeStatistics(y, z))).toEqual(whole);
        expect(mergeStatistics(z, mergeStatistics(y, x))).toEqual(whole);
        expect(mergeStatistics(emptyStatistics(3), whole)).toEqual(whole);
      }),
    );
  });

  it('is undone by taking a part away again', () => {
    fc.assert(
      fc.property(samples, samples, (a, b) => {
        expect(withoutStatistics(statisticsOf([...a, ...b]), statisticsOf(b))).toEqual(statisticsOf(a));
      }),
    );
  });

  it('leaves its arguments alone', () => {
    const [a, b] = [statisticsOf([[1, 2, 3]]), statisticsOf([[4, 5, 6]])];
    mergeStatistics(a, b);
    withoutStatistics(a, b);
    expect(a).toEqual(statisticsOf([[1, 2, 3]]));
    expect(b).toEqual(statisticsOf([[4, 5, 6]]));
  });

  it('refuses different dimensions', () => {
    expect(() => mergeStatistics(emptyStatistics(2), emptyStatistics(3))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('meanAndCovariance', () => {
  it('is the mean and the unbiased covariance', () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 2, maxLength: 12 }), (rows) => {
        const { mean, covariance } = meanAndCovariance(statisticsOf(rows));
        for (let i = 0; i < 3; i++) {
          const column = rows.map((row) => row[i] ?? 0);
          const centre = column.reduce((s, v) => s + v, 0) / rows.length;
          expect(mean[i]).toBeCloseTo(centre, 10);
          for (let j = 0; j < 3; j++) {
            const other = rows.map((row) => row[j] ?? 0);
            const otherCentre = other.reduce((s, v) => s + v, 0) / rows.length;
            const expected = column.reduce((s, v, k) => s + (v - centre) * ((other[k] ?? 0) - otherCentre), 0) / (rows.length - 1);
            expect(covariance[i * 3 + j]).toBeCloseTo(expected, 8);
          }
        }
      }),
    );
  });

  it('refuses fewer than two samples', () => {
    expect(() => meanAndCovariance(statisticsOf([[1, 2, 3]]))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', remedy: 'Evaluate more samples' }));
  });
});
