import { Dd2Error, type HostTensor, type OptimizerSpec } from '@dd2/core';
import { Engine } from '@dd2/engine';
import { classifierEvaluateProgram, classifierNetwork, classifierTrainProgram, initialize } from '@dd2/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainLocally, type LocalStep } from './local-trainer.js';

const rows = 32;
const model = { classes: 2 };
const optimizer: OptimizerSpec = { learningRate: 5e-3, betas: [0.9, 0.99], epsilon: 1e-8, weightDecay: 0, clip: 0, warmup: 0, decay: 'constant', floor: 0 };

/** Dark images of class 0, bright ones of class 1. */
const images: HostTensor<'uint8'> = { dtype: 'uint8', shape: [rows, 28, 28], data: Uint8Array.from({ length: rows * 784 }, (_, i) => 20 + 200 * (Math.floor(i / 784) % 2)) };
const labels: HostTensor<'int64'> = { dtype: 'int64', shape: [rows], data: BigInt64Array.from({ length: rows }, (_, i) => BigInt(i % 2)) };

describe('trainLocally', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await Engine.start({ provider: 'cpu', intraOpThreads: 1 });
    engine.setAsset('train.images', images);
    engine.setAsset('train.labels', labels);
  });
  afterAll(() => engine.close());

  const train = (steps: number, afterStep?: (step: LocalStep) => void | Promise<void>) =>
    trainLocally(engine, {
      program: classifierTrainProgram(model, { batch: 8, rows }),
      initial: initialize(classifierNetwork(model), 1),
      steps,
      seed: 1,
      optimizer,
      ...(afterStep ? { afterStep } : {}),
    });

  it('learns, and gives the same bits again', async () => {
    const losses: number[] = [];
    const first = await train(20, ({ metrics }) => void losses.push(metrics['loss'] ?? NaN));
    expect(losses[0]).toBeGreaterThan(0.5);
    expect(losses.at(-1)).toBeLessThan(0.1);
    expect(await train(20)).toEqual(first);
  });

  it('lets a step change the parameters', async () => {
    const trained = await train(1, ({ parameters }) => void parameters.fill(0.5));
    expect(trained.every((value) => value === 0.5)).toBe(true);
  });

  it('says at which step a gradient is not finite', async () => {
    const failing = train(3, ({ parameters }) => void parameters.fill(NaN));
    await expect(failing).rejects.toMatchObject({ code: 'NON_FINITE', details: { step: 1 } });
  });

  it('refuses a program without a gradient', async () => {
    const program = classifierEvaluateProgram(model, { batch: 8, split: 'train' });
    await expect(trainLocally(engine, { program, initial: new Float32Array(1), steps: 1, seed: 0, optimizer })).rejects.toThrow(Dd2Error);
  });
});
