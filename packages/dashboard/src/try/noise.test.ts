import { expect, it, vi } from 'vitest';
import { fillNormal, fillUniform } from './noise.js';

const moments = (values: Float32Array): { mean: number; variance: number; kurtosis: number } => {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const power = (k: number): number => values.reduce((sum, x) => sum + (x - mean) ** k, 0) / values.length;
  return { mean, variance: power(2), kurtosis: power(4) / power(2) ** 2 };
};

it('draws uniformly, over more than the browser gives at once', () => {
  const values = new Float32Array(200_001);
  fillUniform(values);
  const { mean, variance } = moments(values);
  expect(mean).toBeCloseTo(0.5, 2); // 8 standard errors
  expect(variance).toBeCloseTo(1 / 12, 2);
  expect(new Set(values).size).toBeGreaterThan(195_000);
});

it.each([0, 0xffff_ffff])('never draws 0 or 1 (random bits %i)', (word) => {
  const random = vi.spyOn(crypto, 'getRandomValues').mockImplementation((array) => {
    if (array instanceof Uint32Array) array.fill(word);
    return array;
  });
  const [uniform, normal] = [new Float32Array(3), new Float32Array(3)];
  fillUniform(uniform);
  fillNormal(normal);
  random.mockRestore();
  for (const u of uniform) {
    expect(u).toBeGreaterThan(0);
    expect(u).toBeLessThan(1);
    expect(Number.isFinite(Math.fround(-Math.log(Math.fround(-Math.log(u)))))).toBe(true);
  }
  for (const x of normal) expect(Number.isFinite(x)).toBe(true);
});

it('draws from the standard normal distribution, odd counts as well', () => {
  const values = new Float32Array(100_001);
  fillNormal(values);
  const { mean, variance, kurtosis } = moments(values);
  expect(Math.abs(mean)).toBeLessThan(0.02);
  expect(Math.abs(variance - 1)).toBeLessThan(0.03);
  expect(Math.abs(kurtosis - 3)).toBeLessThan(0.15);
});
