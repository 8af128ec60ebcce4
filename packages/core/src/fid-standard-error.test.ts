import { describe, expect, it } from 'vitest';
import { fidStandardError } from './fid-standard-error.js';
import { frechetDistance } from './frechet.js';
import { emptyStatistics, meanAndCovariance, mergeStatistics, type Gaussian, type SufficientStatistics } from './sufficient-statistics.js';

/** Uniform numbers in (0, 1) that are the same in every process (mulberry32). */
function uniforms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

function normals(seed: number): () => number {
  const uniform = uniforms(seed);
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Samples in parts: component i has the mean `shift` and the deviation `spread / (i + 1)`, and leans on the one before it. */
function draw(seed: number, o: { readonly parts: number; readonly each: number; readonly d: number; readonly shift: number; readonly spread: number }): SufficientStatistics[] {
  const normal = normals(seed);
  return Array.from({ length: o.parts }, () => {
    const { sum, outer } = emptyStatistics(o.d);
    for (let k = 0; k < o.each; k++) {
      const x = new Float64Array(o.d);
      for (let i = 0; i < o.d; i++) x[i] = o.shift + (o.spread * (normal() + 0.5 * (x[i - 1] ?? 0))) / (i + 1);
      x.forEach((a, i) => {
        sum[i] = (sum[i] ?? 0) + a;
        x.forEach((b, j) => (outer[i * o.d + j] = (outer[i * o.d + j] ?? 0) + a * b));
      });
    }
    return { count: o.each, sum, outer };
  });
}

const fit = (parts: readonly SufficientStatistics[]): Gaussian => meanAndCovariance(parts.reduce(mergeStatistics));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));

const d = 6;
const reference = fit(draw(1, { parts: 1, each: 20_000, d, shift: 0, spread: 1 }));

describe('fidStandardError', () => {
  // 400 sets: the empirical spread is itself known to 1 / sqrt(2 * 399), about 3.5 %.
  it.each([
    ['another mean', { parts: 20, each: 100, shift: 0.3, spread: 1 }, 0.85, 1.15],
    ['another covariance', { parts: 20, each: 100, shift: 0, spread: 1.4 }, 0.85, 1.15],
    ['parts that do not make equal groups', { parts: 23, each: 87, shift: 0.3, spread: 1.2 }, 0.85, 1.15],
    ['eight parts, as an evaluation of 2,000 samples has', { parts: 8, each: 250, shift: 0.2, spread: 1.1 }, 0.85, 1.15],
    // The distance is then the square of what scatters: the estimate is too large, as the comment says, and never too small.
    ['the distribution of the reference itself', { parts: 20, each: 100, shift: 0, spread: 1 }, 0.85, 2],
  ])('is the spread of FID over independent sample sets: %s', async (_, how, least, most) => {
    const fids: number[] = [];
    const squares: number[] = [];
    for (let set = 0; set < 400; set++) {
      const parts = draw(1_000 + set, { ...how, d });
      fids.push(frechetDistance(fit(parts), reference));
      squares.push(((await fidStandardError(parts, reference)) ?? NaN) ** 2);
    }
    const ratio = Math.sqrt(mean(squares)) / deviation(fids);
    expect(ratio).toBeGreaterThan(least);
    expect(ratio).toBeLessThan(most);
  });

  it('falls with the root of the number of samples', async () => {
    const at = async (each: number): Promise<number> => mean(await Promise.all(Array.from({ length: 40 }, async (_, set) => (await fidStandardError(draw(77 + set, { parts: 20, each, d, shift: 0.3, spread: 1 }), reference)) ?? NaN)));
    const ratio = (await at(50)) / (await at(200));
    expect(ratio).toBeGreaterThan(1.8);
    expect(ratio).toBeLessThan(2.3);
  });

  it('has the closed form of equal groups', async () => {
    const parts = draw(5, { parts: 5, each: 40, d: 2, shift: 1, spread: 1 });
    const one = fit(draw(6, { parts: 1, each: 40, d: 2, shift: 0, spread: 2 }));
    const without = parts.map((_, left) => frechetDistance(fit(parts.filter((__, index) => index !== left)), one));
    const expected = Math.sqrt((4 / 5) * without.reduce((sum, fid) => sum + (fid - mean(without)) ** 2, 0));
    expect(await fidStandardError(parts, one)).toBeCloseTo(expected, 9);
  });

  it('does not depend on empty parts, and is zero for parts that are all alike', async () => {
    const parts = draw(5, { parts: 6, each: 40, d, shift: 1, spread: 1 });
    const empty = emptyStatistics(d);
    expect(await fidStandardError([empty, ...parts, empty], reference)).toBe(await fidStandardError(parts, reference));
    const [first] = parts;
    // not quite: the covariance is divided by n - 1
    expect(await fidStandardError(new Array<SufficientStatistics>(8).fill(first ?? empty), reference)).toBeLessThan(1e-6);
  });

  it('is absent when there is too little to tell', async () => {
    const three = draw(5, { parts: 3, each: 40, d, shift: 1, spread: 1 });
    expect(await fidStandardError(three, reference)).toBeUndefined();
    expect(await fidStandardError([], reference)).toBeUndefined();
    // without the large part one sample is left
    const [large, ...others] = draw(5, { parts: 4, each: 40, d, shift: 1, spread: 1 });
    const small = others.map((part, index) => (index === 0 ? { ...part, count: 1 } : emptyStatistics(d)));
    expect(await fidStandardError([large ?? emptyStatistics(d), ...small], reference)).toBeUndefined();
    // one sample in each of four parts is enough
    expect(await fidStandardError(draw(5, { parts: 4, each: 1, d, shift: 1, spread: 1 }), reference)).toBeGreaterThan(0);
  });

  it('lets others go on between two distances, and touches nothing', async () => {
    const parts = draw(5, { parts: 7, each: 40, d, shift: 1, spread: 1 });
    const before = JSON.stringify(parts.map(({ outer, sum, count }) => [count, ...sum, ...outer]));
    let pauses = 0;
    await fidStandardError(parts, reference, async () => (pauses += 1));
    expect(pauses).toBe(7);
    expect(JSON.stringify(parts.map(({ outer, sum, count }) => [count, ...sum, ...outer]))).toBe(before);
  });

  it('refuses statistics that are not finite or have other dimensions', async () => {
    const parts = draw(5, { parts: 6, each: 40, d, shift: 1, spread: 1 });
    const [first, ...others] = parts;
    const broken = { count: 40, sum: first?.sum.map(() => NaN) ?? new Float64Array(d), outer: first?.outer ?? new Float64Array(d * d) };
    await expect(fidStandardError([broken, ...others], reference)).rejects.toMatchObject({ code: 'NON_FINITE' });
    await expect(fidStandardError(parts, fit(draw(6, { parts: 1, each: 40, d: 2, shift: 0, spread: 2 })))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
