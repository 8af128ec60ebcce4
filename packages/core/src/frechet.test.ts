import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { frechetDistance } from './frechet.js';
import { meanAndCovariance, mergeStatistics, type Gaussian, type SufficientStatistics } from './sufficient-statistics.js';

const featureSet = z.object({ rows: z.number(), data: z.base64() });
const fixture = z
  .object({ scale: z.number(), cases: z.array(z.object({ name: z.string(), d: z.number(), a: featureSet, b: featureSet, distance: z.number() })) })
  .parse(JSON.parse(readFileSync(new URL('../fixtures/frechet.json', import.meta.url), 'utf8')));

const cases = fixture.cases.map(({ name, d, a, b, distance }) => ({ name, d, a: features(a.data), b: features(b.data), distance }));

/** int8 as base64 -> real features */
function features(data: string): Float64Array {
  return Float64Array.from(Int8Array.from(Buffer.from(data, 'base64')), (x) => x / fixture.scale);
}

function statistics(x: Float64Array, d: number): SufficientStatistics {
  const sum = new Float64Array(d);
  const outer = new Float64Array(d * d);
  x.forEach((value, at) => {
    const i = at % d;
    const row = at - i;
    sum[i] = (sum[i] ?? 0) + value;
    for (let j = 0; j < d; j++) outer[i * d + j] = (outer[i * d + j] ?? 0) + value * (x[row + j] ?? 0);
  });
  return { count: x.length / d, sum, outer };
}

const gaussian = (x: Float64Array, d: number): Gaussian => meanAndCovariance(statistics(x, d));

describe('frechetDistance', () => {
  it.each(cases)('equals the SciPy reference: $name', ({ a, b, d, distance }) => {
    expect(Math.abs(frechetDistance(gaussian(a, d), gaussian(b, d)) - distance)).toBeLessThan(1e-6);
  });

  it.each(cases)('is symmetric: $name', ({ a, b, d }) => {
    expect(frechetDistance(gaussian(a, d), gaussian(b, d))).toBeCloseTo(frechetDistance(gaussian(b, d), gaussian(a, d)), 9);
  });

  it.each(cases)('is zero for identical sets: $name', ({ a, d }) => {
    expect(frechetDistance(gaussian(a, d), gaussian(a, d))).toBeLessThan(1e-9);
  });

  it.each(cases)('does not depend on how the samples were partitioned: $name', ({ a, b, d }) => {
    const cut = 7 * d;
    const parts = mergeStatistics(statistics(a.subarray(cut), d), statistics(a.subarray(0, cut), d));
    expect(frechetDistance(meanAndCovariance(parts), gaussian(b, d))).toBeCloseTo(frechetDistance(gaussian(a, d), gaussian(b, d)), 9);
  });

  it('has the closed form of one dimension', () => {
    const one = (mean: number, deviation: number): Gaussian => ({ mean: Float64Array.of(mean), covariance: Float64Array.of(deviation ** 2) });
    expect(frechetDistance(one(1, 2), one(4, 7))).toBeCloseTo(9 + 25, 12);
    expect(frechetDistance(one(1, 0), one(4, 7))).toBeCloseTo(9 + 49, 12);
    expect(frechetDistance(one(1, 0), one(4, 0))).toBe(9);
  });

  it('refuses different dimensions and values that are not finite', () => {
    const gaussianOf = (d: number, value = 0): Gaussian => ({ mean: new Float64Array(d), covariance: new Float64Array(d * d).fill(value) });
    expect(() => frechetDistance(gaussianOf(2), gaussianOf(3))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => frechetDistance(gaussianOf(2), gaussianOf(2, Number.NaN))).toThrow(expect.objectContaining({ code: 'NON_FINITE' }));
  });
});
