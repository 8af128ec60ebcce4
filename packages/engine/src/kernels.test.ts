import { readFileSync } from 'node:fs';
import { Dd2Error } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { Kernels, type Block } from '@dd2/engine';

/** Around the 4 lanes and the 16 elements of an unrolled step. */
const sizes = [0, 1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 33, 64, 100, 1023, 4099];

function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function place(kernels: Kernels, values: ArrayLike<number>): Block {
  const block = kernels.allocate(values.length);
  block.view().set(values);
  return block;
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-6): void {
  expect(actual.length).toBe(expected.length);
  const worst = Array.from(expected, (value, i) => Math.abs((actual[i] ?? Number.NaN) - value) / Math.max(1, Math.abs(value)));
  expect(worst.reduce((a, b) => Math.max(a, b), 0)).toBeLessThanOrEqual(tolerance);
}

describe.each(sizes)('kernels on %i elements', (size) => {
  const a = noise(size, 1);
  const b = noise(size, 2);

  it('adds, accumulates, scales and copies as a plain loop does, bit for bit', () => {
    const kernels = Kernels.create();
    const [x, y, sum] = [place(kernels, a), place(kernels, b), place(kernels, noise(size, 3))];
    const added = a.map((value, i) => value + (b[i] ?? 0));
    kernels.addInto(sum, x, y);
    expect(sum.view()).toEqual(added);
    kernels.accumulate(x, y);
    expect(x.view()).toEqual(added);
    kernels.scale(x, 0.3);
    expect(x.view()).toEqual(added.map((value) => value * Math.fround(0.3)));
    kernels.copy(y, sum);
    expect(y.view()).toEqual(added);
  });

  it('averages as a plain loop does', () => {
    const kernels = Kernels.create();
    const target = place(kernels, a);
    kernels.ema(target, place(kernels, b), 0.99);
    expectClose(target.view(), a.map((value, i) => 0.99 * value + 0.01 * (b[i] ?? 0)));
  });

  it('sums squares in float64', () => {
    const kernels = Kernels.create();
    const expected = a.reduce((sum, value) => sum + value * value, 0);
    expect(kernels.sumOfSquares(place(kernels, a))).toBeCloseTo(expected, 10);
  });

  it('makes one AdamW step as a plain loop does', () => {
    const kernels = Kernels.create();
    const [p, m, v] = [place(kernels, a), place(kernels, noise(size, 4)), place(kernels, noise(size, 5).map(Math.abs))];
    const before = { p: p.view().slice(), m: m.view().slice(), v: v.view().slice() };
    kernels.adamw(p, place(kernels, b), m, v, { lr: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, step: 3, gradientScale: 0.5 });
    const first = before.m.map((value, i) => 0.9 * value + 0.1 * 0.5 * (b[i] ?? 0));
    const second = before.v.map((value, i) => 0.99 * value + 0.01 * (0.5 * (b[i] ?? 0)) ** 2);
    expectClose(m.view(), first);
    expectClose(v.view(), second);
    expectClose(p.view(), before.p.map((value, i) => {
      const ratio = (first[i] ?? 0) / (Math.sqrt((second[i] ?? 0) / (1 - 0.99 ** 3)) + 1e-8);
      return value * (1 - 0.01 * 0.1) - (0.01 / (1 - 0.9 ** 3)) * ratio;
    }));
  });

  it('leaves what lies behind a block alone', () => {
    const kernels = Kernels.create();
    const whole = place(kernels, noise(size + 32, 6));
    const part = whole.slice(16, size);
    const before = whole.view().slice();
    const [other, third] = [place(kernels, a), place(kernels, b)];
    kernels.accumulate(part, other);
    kernels.scale(part, 2);
    kernels.ema(part, other, 0.5);
    kernels.adamw(part, third, other, third, { lr: 0.1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, step: 1 });
    expect(whole.view().subarray(0, 16)).toEqual(before.subarray(0, 16));
    expect(whole.view().subarray(16 + size)).toEqual(before.subarray(16 + size));
  });
});

describe('finiteness', () => {
  it('finds a NaN or an infinity at every position', () => {
    const kernels = Kernels.create();
    const block = place(kernels, noise(70, 1));
    expect(kernels.isFinite(block)).toBe(true);
    for (let at = 0; at < 70; at++) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const kept = block.view()[at] ?? 0;
        block.view()[at] = bad;
        expect(kernels.nonFiniteCount(block)).toBe(1);
        block.view()[at] = kept;
      }
    }
    expect(kernels.nonFiniteCount(place(kernels, new Float32Array(70).fill(Number.NaN)))).toBe(70);
  });

  it('accepts the largest, the smallest and denormal numbers', () => {
    const kernels = Kernels.create();
    const huge = 3.4028234663852886e38;
    const block = place(kernels, [huge, -huge, 1e-45, -0, 1.17e-38, huge, huge]);
    expect(kernels.isFinite(block)).toBe(true);
    expect(kernels.sumOfSquares(block)).toBeCloseTo(4 * huge ** 2, -65);
    kernels.accumulate(block, block);
    expect(kernels.nonFiniteCount(block)).toBe(4);
  });
});

describe('sum of squares', () => {
  it('has a fixed order: the same bits from any instance', () => {
    const values = noise(100_003, 9).map((value) => value * 1e3);
    const sums = [0, 1, 2].map(() => {
      const kernels = Kernels.create();
      kernels.allocate(5);
      return kernels.sumOfSquares(place(kernels, values));
    });
    expect(new Set(sums).size).toBe(1);
  });
});

describe('AdamW', () => {
  it('follows ten steps of torch.optim.AdamW', () => {
    interface Fixture {
      options: { lr: number; beta1: number; beta2: number; epsilon: number; weightDecay: number };
      gradientScale: number; initial: number[]; gradients: number[][]; trajectory: number[][]; firstMoment: number[]; secondMoment: number[];
    }
    const fixture = JSON.parse(readFileSync(new URL('../fixtures/adamw.json', import.meta.url), 'utf8')) as Fixture;
    const kernels = Kernels.create();
    const parameters = place(kernels, fixture.initial);
    const [m, v] = [place(kernels, new Float32Array(parameters.length)), place(kernels, new Float32Array(parameters.length))];
    fixture.gradients.forEach((gradient, index) => {
      kernels.adamw(parameters, place(kernels, gradient), m, v, { ...fixture.options, step: index + 1, gradientScale: fixture.gradientScale });
      expectClose(parameters.view(), fixture.trajectory[index] ?? []);
    });
    expectClose(m.view(), fixture.firstMoment);
    expectClose(v.view(), fixture.secondMoment);
  });

  it('refuses step 0, whose bias correction does not exist', () => {
    const kernels = Kernels.create();
    const x = kernels.allocate(1);
    expect(() => kernels.adamw(x, x, x, x, { lr: 1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, step: 0 })).toThrow(Dd2Error);
  });
});

describe('blocks', () => {
  it('keep their content and their alignment when the memory grows', () => {
    const kernels = Kernels.create();
    const first = place(kernels, noise(1000, 1));
    const second = kernels.allocate(1_000_000);
    expect(first.view()).toEqual(noise(1000, 1));
    expect(first.byteOffset % 64).toBe(0);
    expect(second.byteOffset % 64).toBe(0);
    expect(second.byteOffset).toBeGreaterThanOrEqual(first.byteOffset + 4000);
  });

  it('reuse released room of the same size', () => {
    const kernels = Kernels.create();
    const first = kernels.allocate(1000);
    kernels.release(first);
    expect(() => kernels.release(first)).toThrow(/not allocated/);
    expect(kernels.allocate(1000).byteOffset).toBe(first.byteOffset);
    expect(kernels.allocate(1000).byteOffset).not.toBe(first.byteOffset);
  });

  it('work beyond 2 GiB, and end at 4 GiB with a typed error', () => {
    const kernels = Kernels.create();
    kernels.allocate(2 ** 29 + 2 ** 28);
    const far = place(kernels, noise(50, 1));
    expect(far.byteOffset).toBeGreaterThan(2 ** 31);
    kernels.accumulate(far, far);
    expect(far.view()).toEqual(noise(50, 1).map((value) => value * 2));
    expect(() => kernels.allocate(2 ** 29)).toThrow(/4 GiB/);
  });

  it('of other instances or lengths are refused', () => {
    const [kernels, others] = [Kernels.create(), Kernels.create()];
    expect(() => kernels.accumulate(kernels.allocate(4), others.allocate(4))).toThrow(/another memory/);
    expect(() => kernels.accumulate(kernels.allocate(4), kernels.allocate(5))).toThrow(/lengths: 4 and 5/);
    expect(() => kernels.allocate(4).slice(2, 3)).toThrow(Dd2Error);
  });
});
