import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OptimizerSpec } from '@dd2/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SHARD_FLOATS, type OptimizerStep } from './aggregator.js';
import { Aggregators, type Reduction } from './aggregators.js';
import { fromShards } from './parameter-store.js';
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
  return fromShards(await aggregators.read(name));
}

/** Equal to the last bit. */
function same(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function contribute(reduction: Reduction, from: number, to: number, gradient: Float32Array): void {
  const shards = [0, 1, 2].reverse(); // the order of arrival does not matter
  for (const shard of shards) reduction.contribute({ from, to }, shard, bytesOf(gradient.slice(shard * SHARD_FLOATS, (shard + 1) * SHARD_FLOATS)));
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
    await expect(aggregators.read('guidance')).rejects.toThrow('no vector "guidance" is loaded');
  });

  it('sums bytes and files in the order of the tree, duplicates once, and takes AdamW and averaging steps', async () => {
    const folder = await temporaryFolder();
    const aggregators = await loaded();
    const gradients = [2, 3, 4, 5].map((seed) => vector(seed));
    const [g0, g1, g2, g3] = gradients as [Float32Array, Float32Array, Float32Array, Float32Array];
    const total = add(add(g0, g1), add(g2, g3));

    const reduction = aggregators.open(0, 'generator', SIZE, 4);
    contribute(reduction, 3, 4, g3);
    const file = join(folder, 'gradient');
    await writeFile(file, bytesOf(add(g0, g1)));
    await reduction.contributeFile({ from: 0, to: 2 }, file);
    contribute(reduction, 0, 1, vector(99)); // a backup that came late: whatever it holds is not used
    await reduction.contributeFile({ from: 0, to: 2 }, file);
    contribute(reduction, 2, 3, g2);
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
      for (const shard of order) reduction.contribute({ from: 0, to: 1 }, shard, bytesOf(vector(7).slice(shard * SHARD_FLOATS, (shard + 1) * SHARD_FLOATS)));
      sums.push(await reduction.complete);
    }
    expect(new Set(sums).size).toBe(1);
  });

  it('shows a gradient that is not finite in the norm, before anything has changed', async () => {
    const aggregators = await loaded();
    const reduction = aggregators.open(0, 'generator', SIZE, 1);
    const gradient = vector(2);
    gradient[SIZE - 1] = NaN;
    contribute(reduction, 0, 1, gradient);
    expect(await reduction.complete).toBeNaN();
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
    contribute(earlier, 0, 1, vector(9));
    contribute(reduction, 0, 1, vector(2));
    const sum = await reduction.complete;
    const again = aggregators.open(2, 'generator', SIZE, 1);
    contribute(again, 0, 1, vector(2));
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
    await expect(aggregators.read('generator')).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
