import type { OptimizerSpec } from '@dd2/core';
import type { Engine } from '@dd2/engine';
import { classifierNetwork, classifierTrainProgram, initialize } from '@dd2/models';
import { trainLocally } from './local-trainer.js';
import { StepProgress, type Report } from './progress.js';

const batch = 128;

const optimizer: OptimizerSpec = {
  learningRate: 2e-3,
  betas: [0.9, 0.999],
  epsilon: 1e-8,
  weightDecay: 0,
  clip: 0,
  warmup: 0,
  decay: 'cosine',
  floor: 0.01,
};

export interface ClassifierOptions {
  readonly classes: number;
  /** training images: rows of the asset `train.images` */
  readonly rows: number;
  /** passes over the training images */
  readonly epochs: number;
  readonly seed: number;
}

/** Trains the network whose 64 activations before the last layer are the features of the FID. */
export async function trainClassifier(engine: Engine, options: ClassifierOptions, report: Report): Promise<Float32Array> {
  const { classes, rows, epochs, seed } = options;
  const steps = Math.floor((epochs * rows) / batch);
  const progress = new StepProgress('classifier', steps, report);
  return trainLocally(engine, {
    program: classifierTrainProgram({ classes }, { batch, rows }),
    initial: initialize(classifierNetwork({ classes }), seed),
    steps,
    seed,
    optimizer,
    afterStep: ({ step, metrics }) => progress.step(step, { loss: metrics.loss ?? NaN }),
  });
}
