import { describe, expect, it } from 'vitest';
import { shortDuration } from './format.js';
import { linearTicks, logTicks, niceStep, timeTicks } from './ticks.js';

const labels = (ticks: readonly { readonly label: string }[]): string[] => ticks.map(({ label }) => label);

describe('linearTicks', () => {
  it('stands at 1, 2, 2.5 or 5 times a power of ten, within the range', () => {
    expect(labels(linearTicks(0, 1_000_000, 5))).toEqual(['0', '200k', '400k', '600k', '800k', '1M']);
    expect(labels(linearTicks(0.31, 0.52, 5))).toEqual(['0.35', '0.40', '0.45', '0.50']);
    expect(labels(linearTicks(-0.9, 0.3, 3))).toEqual(['-0.5', '0']);
  });

  it('has whole numbers only where these are asked for', () => {
    expect(labels(linearTicks(0, 2.2, 6, true))).toEqual(['0', '1', '2']);
    expect(niceStep(2.2, true)).toBe(5);
    expect(niceStep(22, true)).toBe(25);
  });

  it('is exact and has at most about as many as wanted, whatever the range', () => {
    for (const [min, max] of [[0, 0.3], [1e-9, 3e-9], [-5e7, 1e8], [123.4, 123.5], [0, 7]] as const) {
      for (const count of [2, 4, 9]) {
        const ticks = linearTicks(min, max, count);
        expect(ticks.length).toBeLessThanOrEqual(count + 1);
        for (const { value } of ticks) {
          expect(value).toBeGreaterThanOrEqual(min - (max - min) * 1e-6);
          expect(value).toBeLessThanOrEqual(max + (max - min) * 1e-6);
        }
        expect(new Set(labels(ticks)).size).toBe(ticks.length);
      }
    }
    expect(linearTicks(0, 0.3, 3).map(({ value }) => value)).toEqual([0, 0.1, 0.2, 0.3]);
  });

  it('has none for a range that is none', () => {
    expect(linearTicks(1, 0, 5)).toEqual([]);
    expect(linearTicks(NaN, 1, 5)).toEqual([]);
  });
});

describe('logTicks', () => {
  it('labels decades, with minor ticks at 2 to 9 times them', () => {
    const ticks = logTicks(0.01, 100, 6);
    expect(ticks.filter(({ label }) => label !== '').map(({ label }) => label)).toEqual(['0.01', '0.1', '1', '10', '100']);
    expect(ticks).toHaveLength(5 + 4 * 8);
    expect(ticks.some(({ value, label }) => Math.abs(value - 30) < 1e-9 && label === '')).toBe(true);
  });

  it('leaves out labels, not decades, when there are many', () => {
    const ticks = logTicks(1e-9, 1e9, 6);
    expect(ticks).toHaveLength(19);
    expect(ticks.filter(({ label }) => label !== '').length).toBeLessThanOrEqual(6);
  });

  it('still labels a range within one decade', () => {
    expect(labels(logTicks(0.31, 0.52, 4)).filter((label) => label !== '').length).toBeGreaterThanOrEqual(2);
    // the largest values stand nearest to each other
    const narrow = logTicks(45, 200, 14).map(({ value }) => Math.log(value));
    expect(Math.min(...narrow.slice(1).map((place, index) => place - (narrow[index] as number)))).toBeGreaterThan(Math.log(200 / 45) / 20);
    expect(labels(logTicks(2, 60, 5)).filter((label) => label !== '')).toEqual(['2', '5', '10', '20', '50']);
  });

  it('stays within the range and above 0', () => {
    for (const { value } of logTicks(3, 4500, 5)) {
      expect(value).toBeGreaterThanOrEqual(3);
      expect(value).toBeLessThanOrEqual(4500 * (1 + 1e-9));
    }
  });
});

describe('timeTicks', () => {
  it('stands at whole seconds, minutes, hours and days', () => {
    expect(labels(timeTicks(0, 55, 4))).toEqual(['0 s', '15 s', '30 s', '45 s']);
    expect(labels(timeTicks(0, 240, 5))).toEqual(['0 s', '1 min', '2 min', '3 min', '4 min']);
    expect(labels(timeTicks(0, 3 * 3600, 4))).toEqual(['0 s', '1 h', '2 h', '3 h']);
    expect(labels(timeTicks(0, 10 * 86400, 5))).toEqual(['0 s', '2 d', '4 d', '6 d', '8 d', '10 d']);
  });
});

describe('shortDuration', () => {
  it.each([
    [0, '0 s'],
    [42.4, '42.4 s'],
    [60, '1 min'],
    [95, '1 min 35'],
    [3600, '1 h'],
    [3900, '1 h 05'],
    [86400, '1 d'],
    [100_000, '1 d 4 h'],
    [59.9996, '1 min'],
    [3599.9, '1 h'],
    [86_399, '1 d'],
    [-90, '-1 min 30'],
  ])('writes %d s as %s', (seconds, text) => expect(shortDuration(seconds)).toBe(text));
});
