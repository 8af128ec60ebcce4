import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillInteger, fillNormal, fillUniform, philox4x32, streamId, type DrawKey } from './philox.js';

const key: DrawKey = { seed: 7, update: 3, stream: 'noise' };
const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

describe('philox4x32', () => {
  // Known answers published with Random123 (kat_vectors).
  it.each([
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [range(4).map(() => 0xffffffff), [0xffffffff, 0xffffffff], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]],
  ])('counter %j', (counter, keyWords, expected) => {
    expect([...philox4x32(counter, keyWords)]).toEqual(expected);
  });

  it('agrees with the definition in exact integers', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(fc.array(word, { minLength: 4, maxLength: 4 }), fc.array(word, { minLength: 2, maxLength: 2 }), (counter, keyWords) => {
        expect([...philox4x32(counter, keyWords)]).toEqual(definition(counter, keyWords));
      }),
    );
  });
});

describe('streamId', () => {
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
  ])('%j is FNV-1a', (name, expected) => {
    expect(streamId(name)).toBe(expected);
  });
});

describe('counter', () => {
  it('is (block, sample, update, stream), and the key is the seed', () => {
    const seed = 5 * 2 ** 32 + 9;
    const out = new Float32Array(2 * 6);
    fillUniform(out, { seed, update: 11, stream: 's' }, [4, 2 ** 32 - 1]);
    const uniform = (block: number, sample: number): number[] => [...philox4x32([block, sample, 11, streamId('s')], [9, 5])].map((w) => ((w >>> 9) + 0.5) * 2 ** -23);
    const row = (sample: number): number[] => [...uniform(0, sample), ...uniform(1, sample).slice(0, 2)];
    expect([...out]).toEqual([...row(4), ...row(2 ** 32 - 1)]);
  });

  it('gives a row the same bits in whichever batch, order and length it is drawn', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 13 }), fc.nat(), (samples, rowSize, update) => {
        const at = { ...key, update };
        const together = new Float32Array(samples.length * rowSize);
        fillNormal(together, at, samples);
        samples.forEach((sample, row) => {
          const alone = new Float32Array(rowSize + 3);
          fillNormal(alone, at, [sample]);
          expect(together.slice(row * rowSize, (row + 1) * rowSize)).toEqual(alone.slice(0, rowSize));
        });
      }),
      { numRuns: 30 },
    );
  });

  it('draws a row again from its index alone', () => {
    // `by`: the sample index comes from elsewhere and the update is 0, whenever and wherever it is drawn
    const drawn = new Float32Array(3 * 8);
    fillNormal(drawn, { ...key, update: 0 }, [70_000, 12, 12]);
    const later = new Float32Array(8);
    fillNormal(later, { ...key, update: 0 }, [12]);
    expect(drawn.slice(8, 16)).toEqual(later);
    expect(drawn.slice(16, 24)).toEqual(later);
  });

  it('separates seeds, updates, samples and streams', () => {
    const first = (at: DrawKey, sample: number): number => {
      const out = new Float32Array(1);
      fillUniform(out, at, [sample]);
      return out[0] ?? 0;
    };
    const values = [first(key, 0), first({ ...key, seed: 8 }, 0), first({ ...key, seed: 7 + 2 ** 32 }, 0), first({ ...key, update: 4 }, 0), first(key, 1), first({ ...key, stream: 'time' }, 0)];
    expect(new Set(values).size).toBe(values.length);
  });

  it.each([
    ['negative sample', () => fillUniform(new Float32Array(1), key, [-1])],
    ['fractional sample', () => fillUniform(new Float32Array(1), key, [0.5])],
    ['sample above 32 bits', () => fillUniform(new Float32Array(1), key, [2 ** 32])],
    ['negative seed', () => fillUniform(new Float32Array(1), { ...key, seed: -1 }, [0])],
    ['fractional seed', () => fillUniform(new Float32Array(1), { ...key, seed: 0.5 }, [0])],
    ['update above 32 bits', () => fillUniform(new Float32Array(1), { ...key, update: 2 ** 32 }, [0])],
    ['ragged rows', () => fillUniform(new Float32Array(5), key, [0, 1])],
    ['elements without rows', () => fillUniform(new Float32Array(5), key, [])],
    ['nothing to choose from', () => fillInteger(new BigInt64Array(1), 0, key, [0])],
  ])('refuses a %s', (_, draw) => {
    expect(draw).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('distributions', () => {
  const rows = range(500);
  const n = 500 * 400;

  it('uniform: open interval, moments and Kolmogorov-Smirnov', () => {
    const out = new Float32Array(n);
    fillUniform(out, key, rows);
    expect(Math.min(...out.slice(0, 10_000))).toBeGreaterThan(0);
    expect(out.every((u) => u > 0 && u < 1)).toBe(true);
    expect(Math.abs(moment(out, 1) - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(moment(out, 2) - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / n));
    expect(kolmogorovSmirnov(out, (u) => u)).toBeLessThan(2.2 / Math.sqrt(n));
  });

  it('the extreme words stay inside the interval in float32', () => {
    for (const word of [0, 0xffffffff]) {
      const u = Math.fround(((word >>> 9) + 0.5) * 2 ** -23);
      expect(u).toBeGreaterThan(0);
      expect(u).toBeLessThan(1);
    }
  });

  it('normal: moments, Kolmogorov-Smirnov and independence of neighbours', () => {
    const out = new Float32Array(n);
    fillNormal(out, key, rows);
    expect(Math.abs(moment(out, 1))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(moment(out, 2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(out, 3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(moment(out, 4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    expect(kolmogorovSmirnov(out, normalDistribution)).toBeLessThan(2.2 / Math.sqrt(n));
    for (const lag of [1, 2, 3, 400]) {
      const products = out.slice(lag).map((x, i) => x * (out[i] ?? 0));
      expect(Math.abs(moment(products, 1))).toBeLessThan(5 / Math.sqrt(n));
    }
  });

  it('integers: in range, every value equally often', () => {
    const out = new BigInt64Array(n);
    fillInteger(out, 10, key, rows);
    const counts = new Array<number>(10).fill(0);
    for (const value of out) counts[Number(value)] = (counts[Number(value)] ?? 0) + 1;
    expect(counts).toHaveLength(10);
    const chiSquare = counts.reduce((sum, c) => sum + (c - n / 10) ** 2 / (n / 10), 0);
    expect(chiSquare).toBeLessThan(33.7); // 1 in 10,000 for 9 degrees of freedom
  });

  it('integers: floor(word * below / 2^32), exactly', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), fc.nat(), (below, sample) => {
        const out = new BigInt64Array(5);
        fillInteger(out, below, key, [sample]);
        const words = [0, 1].flatMap((block) => [...philox4x32([block, sample, key.update, streamId(key.stream)], [key.seed, 0])]).slice(0, 5);
        expect([...out]).toEqual(words.map((w) => (BigInt(w) * BigInt(below)) >> 32n));
      }),
    );
  });
});

function definition(counter: readonly number[], keyWords: readonly number[]): number[] {
  const mask = 0xffffffffn;
  let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k, l] = keyWords.map(BigInt) as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const first = a * 0xd2511f53n;
    const second = c * 0xcd9e8d57n;
    [a, b, c, d] = [(second >> 32n) ^ b ^ k, second & mask, (first >> 32n) ^ d ^ l, first & mask];
    k = (k + 0x9e3779b9n) & mask;
    l = (l + 0xbb67ae85n) & mask;
  }
  return [a, b, c, d].map(Number);
}

function moment(values: Float32Array, order: number): number {
  return values.reduce((sum, x) => sum + x ** order, 0) / values.length;
}

function kolmogorovSmirnov(values: Float32Array, distribution: (x: number) => number): number {
  const sorted = values.slice().sort();
  let worst = 0;
  sorted.forEach((x, i) => {
    const p = distribution(x);
    worst = Math.max(worst, p - i / sorted.length, (i + 1) / sorted.length - p);
  });
  return worst;
}

/** The normal distribution function by its Taylor series around 0 (double precision for |x| < 7). */
function normalDistribution(x: number): number {
  let term = x;
  let sum = x;
  for (let i = 1; Math.abs(term) > 1e-17; i++) {
    term *= (x * x) / (2 * i + 1);
    sum += term;
  }
  return 0.5 + (sum * Math.exp(-(x * x) / 2)) / Math.sqrt(2 * Math.PI);
}
