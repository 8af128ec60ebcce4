import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OptimizerSpec } from '@dd2/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SHARD_FLOATS, type OptimizerStep } from './aggregator.js';
import { Aggregators, type Reduction } from './aggregators.js';
import { bytesOfRange, type StateCopy } from './state-copy.js';
import { temporaryFolder } from './testing/temporary-folder.js';

/** Three shards, the last one odd: over two threads. */
const SIZE = 2 * SHARD_FLOATS + 1_237;
const THREADS = 2;
const optimizer: OptimizerSpec = { learningRate: 1e-2, betas: [0.9, 0.99], epsilon: 1e-8, weightDecay: 0.1, clip: 0, warmup: 0, decay: 'constant', floor: 0 };

function vector(seed: number, size = SIZE): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.sin(seed * 12.9898 + i * 0.37) * (1 + (i % 7)));
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function add(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => Math.fround(value + (b[i] ?? 0)));
}

async function loaded(): Promise<Aggregators> {
  const aggregators = new Aggregators(SIZE, THREADS);
  onTestFinished(() => aggregators.terminate());
  await aggregators.load('generator', vector(1));
  await aggregators.copy('generator', 'generator_ema');
  for (const moment of ['generator.m', 'generator.v']) await aggregators.zero(moment, 'generator');
  return aggregators;
}

async function read(aggregators: Aggregators, name: string): Promise<Float32Array> {
  const copy = aggregators.allocateCopy([name]);
  await aggregators.snapshot(copy);
  return flat(copy, name);
}

function flat(copy: StateCopy, name: string): Float32Array {
  const bytes = Buffer.concat([...bytesOfRange(copy[name] ?? [], 0, SIZE)]);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** Equal to the last bit. */
function same(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

/** Whether each shard was finite, the last one first: the order of arrival does not matter. */
async function contribute(reduction: Reduction, from: number, to: number, gradient: Float32Array, shards = [2, 1, 0]): Promise<boolean[]> {
  return Promise.all(shards.map((shard) => reduction.contribute({ from, to }, shard, bytesOf(gradient.slice(shard * SHARD_FLOATS, (shard + 1) * SHARD_FLOATS)))));
}

function step(more: Partial<OptimizerStep> = {}): OptimizerStep {
  return { network: 'generator', learningRate: 1e-2, optimizer, step: 0, gradientScale: 0.25, ema: { vector: 'generator_ema', decay: 0.9 }, ...more };
}

/** torch.optim.AdamW in float64. */
function adamw(p: number, g: number, m: number, v: number, t: number): { p: number; m: number; v: number } {
  const [beta1, beta2] = optimizer.betas;
  const first = beta1 * m + (1 - beta1) * g;
  const second = beta2 * v + (1 - beta2) * g * g;
  const decayed = p * (1 - 1e-2 * optimizer.weightDecay);
  return { p: decayed - (1e-2 * (first / (1 - beta1 ** t))) / (Math.sqrt(second / (1 - beta2 ** t)) + optimizer.epsilon), m: first, v: second };
}

describe('Aggregators', () => {
  it('keeps vectors over several threads, to the last bit', async () => {
    const aggregators = await loaded();
    expect(same(await read(aggregators, 'generator'), vector(1))).toBe(true);
    expect(same(await read(aggregators, 'generator_ema'), vector(1))).toBe(true);
    expect((await read(aggregators, 'generator.m')).every((value) => value === 0)).toBe(true);
    await expect(read(aggregators, 'guidance')).rejects.toThrow('no vector "guidance" is loaded');
  });

  it('sums bytes and files in the order of the tree, duplicates once, and takes AdamW and averaging steps', async () => {
    const folder = await temporaryFolder();
    const aggregators = await loaded();
    const gradients = [2, 3, 4, 5].map((seed) => vector(seed));
    const [g0, g1, g2, g3] = gradients as [Float32Array, Float32Array, Float32Array, Float32Array];
    const total = add(add(g0, g1), add(g2, g3));

    const reduction = aggregators.open(0, 'generator', SIZE, 4);
    await contribute(reduction, 3, 4, g3);
    const file = join(folder, 'gradient');
    await writeFile(file, bytesOf(add(g0, g1)));
    await reduction.contributeFile({ from: 0, to: 2 }, file);
    await contribute(reduction, 0, 1, vector(99)); // a backup that came late: whatever it holds is not used
    await reduction.contributeFile({ from: 0, to: 2 }, file);
    await contribute(reduction, 2, 3, g2);
    const squares = [0, 1, 2].map((shard) => total.slice(shard * SHARD_FLOATS, (shard + 1) * SHARD_FLOATS).reduce((sum, value) => sum + value * value, 0));
    const sum = await reduction.complete;
    expect(sum / squares.reduce((all, square) => all + square, 0)).toBeCloseTo(1, 10);

    await aggregators.optimize(step());
    const parameters = await read(aggregators, 'generator');
    const average = await read(aggregators, 'generator_ema');
    const first = await read(aggregators, 'generator.m');
    const before = vector(1);
    let worst = 0;
    for (let i = 0; i < SIZE; i += 101) {
      const start = before[i] ?? 0;
      const expected = adamw(start, 0.25 * (total[i] ?? 0), 0, 0, 1);
      worst = Math.max(worst, Math.abs((parameters[i] ?? 0) - expected.p), Math.abs((first[i] ?? 0) - expected.m), Math.abs((average[i] ?? 0) - (0.9 * start + 0.1 * expected.p)));
    }
    expect(worst).toBeLessThan(1e-5);
  });

  it('gives the same norm whatever arrives last', async () => {
    const aggregators = await loaded();
    const sums: number[] = [];
    for (const order of [[0, 1, 2], [2, 0, 1], [1, 2, 0]]) {
      const reduction = aggregators.open(sums.length, 'generator', SIZE, 1);
      await contribute(reduction, 0, 1, vector(7), order);
      sums.push(await reduction.complete);
    }
    expect(new Set(sums).size).toBe(1);
  });

  it('does not add what is not finite, and another contribution takes its place', async () => {
    const folder = await temporaryFolder();
    const aggregators = await loaded();
    const sums: number[] = [];
    for (const broken of [undefined, NaN, Infinity, -Infinity]) {
      const reduction = aggregators.open(sums.length, 'generator', SIZE, 2);
      await contribute(reduction, 1, 2, vector(3));
      if (broken !== undefined) {
        const gradient = vector(2);
        gradient[SIZE - 1] = broken;
        expect(await contribute(reduction, 0, 1, gradient)).toEqual([false, true, true]);
        const file = join(folder, 'gradient');
        await writeFile(file, bytesOf(gradient));
        expect(await reduction.contributeFile({ from: 0, to: 1 }, file)).toBe(false);
      }
      expect(await contribute(reduction, 0, 1, vector(2))).toEqual([true, true, true]);
      sums.push(await reduction.complete);
    }
    expect(new Set(sums).size).toBe(1);
    expect(Number.isFinite(sums[0])).toBe(true);
  });

  it('shows finite gradients whose sum overflows in the norm', async () => {
    const aggregators = await loaded();
    const reduction = aggregators.open(0, 'generator', SIZE, 2);
    const large = vector(2);
    large[5] = 3e38;
    for (const from of [0, 1]) await contribute(reduction, from, from + 1, large);
    expect(await reduction.complete).toBe(Infinity);
  });

  it('shows in the norm that a gradient is in truth not finite, before anything has changed, and not in the next one', async () => {
    const aggregators = await loaded();
    const reduction = aggregators.open(0, 'generator', SIZE, 2);
    await contribute(reduction, 1, 2, vector(3));
    reduction.contributeNonFinite();
    expect(await reduction.complete).toBeNaN();
    const next = aggregators.open(1, 'generator', SIZE, 1);
    reduction.contributeNonFinite();
    await contribute(next, 0, 1, vector(3));
    expect(Number.isFinite(await next.complete)).toBe(true);
    expect(same(await read(aggregators, 'generator'), vector(1))).toBe(true);
    expect((await read(aggregators, 'generator.v')).every((value) => value === 0)).toBe(true);
  });

  it('refuses files that are not the gradient, and still takes the right one', async () => {
    const folder = await temporaryFolder();
    const aggregators = await loaded();
    const reduction = aggregators.open(0, 'generator', SIZE, 1);
    const [short, right, link] = ['short', 'right', 'link'].map((name) => join(folder, name)) as [string, string, string];
    await writeFile(short, bytesOf(vector(2, SIZE - 1)));
    await writeFile(right, bytesOf(vector(2)));
    await symlink(right, link);
    const span = { from: 0, to: 1 };
    await expect(reduction.contributeFile(span, short)).rejects.toMatchObject({ code: 'PROTOCOL' });
    await expect(reduction.contributeFile(span, folder)).rejects.toMatchObject({ code: 'PROTOCOL' });
    await expect(reduction.contributeFile(span, link)).rejects.toThrow('ELOOP');
    await expect(reduction.contributeFile(span, join(folder, 'none'))).rejects.toThrow('ENOENT');
    await reduction.contributeFile(span, right);
    expect(await reduction.complete).toBeGreaterThan(0);
  });

  it('ignores what belongs to an earlier update', async () => {
    const aggregators = await loaded();
    const earlier = aggregators.open(0, 'generator', SIZE, 1);
    const reduction = aggregators.open(1, 'generator', SIZE, 1);
    await contribute(earlier, 0, 1, vector(9));
    await contribute(reduction, 0, 1, vector(2));
    const sum = await reduction.complete;
    const again = aggregators.open(2, 'generator', SIZE, 1);
    await contribute(again, 0, 1, vector(2));
    expect(await again.complete).toBe(sum);
  });

  it('refuses a step without a complete sum', async () => {
    const aggregators = await loaded();
    aggregators.open(0, 'generator', SIZE, 2);
    await expect(aggregators.optimize(step())).rejects.toThrow('not reduced yet');
    expect(same(await read(aggregators, 'generator'), vector(1))).toBe(true);
  });

  it('rejects what waits when it is terminated', async () => {
    const aggregators = await loaded();
    const { complete } = aggregators.open(0, 'generator', SIZE, 1);
    await aggregators.terminate();
    await expect(complete).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(read(aggregators, 'generator')).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  describe('takes a snapshot', () => {
    const all = ['generator', 'generator_ema', 'generator.m', 'generator.v'];

    it('of the vectors as they were, whatever happens to them in the same breath', async () => {
      const aggregators = await loaded();
      const reduction = aggregators.open(0, 'generator', SIZE, 1);
      void contribute(reduction, 0, 1, vector(2));
      await reduction.complete;

      const copies = all.map(() => aggregators.allocateCopy(all));
      const taken = [aggregators.snapshot(copies[0] ?? {})];
      const optimized = aggregators.optimize(step()); // changes all four
      taken.push(aggregators.snapshot(copies[1] ?? {}));
      const copied = aggregators.copy('generator_ema', 'generator');
      taken.push(aggregators.snapshot(copies[2] ?? {}), aggregators.snapshot(copies[3] ?? {}));
      const zeroed = aggregators.zero('generator_ema', 'generator');
      const reloaded = aggregators.load('generator', vector(8));
      await Promise.all([...taken, optimized, copied, zeroed, reloaded]);

      const taken0 = (name: string): Float32Array => flat(copies[0] ?? {}, name);
      const afterStep = (name: string): Float32Array => flat(copies[1] ?? {}, name);
      const afterCopy = (name: string): Float32Array => flat(copies[2] ?? {}, name);
      expect(same(taken0('generator'), vector(1))).toBe(true);
      expect(same(taken0('generator_ema'), vector(1))).toBe(true);
      for (const moment of ['generator.m', 'generator.v']) expect(taken0(moment).every((value) => value === 0)).toBe(true);
      for (const name of all) expect(same(afterStep(name), taken0(name)), name).toBe(false);
      expect(same(afterCopy('generator'), afterStep('generator_ema'))).toBe(true);
      for (const name of all) expect(same(flat(copies[3] ?? {}, name), afterCopy(name)), name).toBe(true);
      expect(same(await read(aggregators, 'generator'), vector(8))).toBe(true);
      expect((await read(aggregators, 'generator_ema')).every((value) => value === 0)).toBe(true);
    });

    it('into memory that was used before, and of vectors that end inside a shard', async () => {
      const aggregators = await loaded();
      const copy = aggregators.allocateCopy(['generator']);
      expect((copy['generator'] ?? []).reduce((bytes, part) => bytes + part.byteLength, 0)).toBe(SIZE * 4);
      for (const seed of [3, 4]) {
        await aggregators.load('generator', vector(seed));
        await aggregators.snapshot(copy);
        expect(same(flat(copy, 'generator'), vector(seed))).toBe(true);
      }
    });

    it.each([[0, 5], [SHARD_FLOATS - 3, 7], [SHARD_FLOATS * 2 - 1, 2], [SIZE - 1, 1], [0, SIZE]])('whose elements from %i on, %i of them, are found across the threads', async (offset, size) => {
      const aggregators = await loaded();
      const copy = aggregators.allocateCopy(['generator']);
      await aggregators.snapshot(copy);
      const range = Buffer.concat([...bytesOfRange(copy['generator'] ?? [], offset, size)]);
      expect(Buffer.compare(range, bytesOf(vector(1).slice(offset, offset + size)))).toBe(0);
    });
  });
});
