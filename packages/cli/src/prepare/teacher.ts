import type { OptimizerSpec } from '@dd2/core';
import type { Engine } from '@dd2/engine';
import { initialize, teacherEvaluateProgram, teacherNetwork, teacherTrainProgram, type ModelConfig } from '@dd2/models';
import { trainLocally } from './local-trainer.js';
import { forEachBatch } from './measure.js';
import { StepProgress, type Report } from './progress.js';

const batch = 128;
const evaluateBatch = 500;

const optimizer: OptimizerSpec = {
  learningRate: 2e-3,
  betas: [0.9, 0.98],
  epsilon: 1e-8,
  weightDecay: 0.05,
  clip: 0,
  warmup: 200,
  decay: 'cosine',
  floor: 0.02,
};

export interface TeacherOptions {
  readonly model: ModelConfig;
  /** rows of `train.tokens` */
  readonly rows: number;
  readonly steps: number;
  readonly seed: number;
}

/** Trains the auto-regressive teacher on the tokens of the training images. */
export async function trainTeacher(engine: Engine, options: TeacherOptions, report: Report): Promise<Float32Array> {
  const { model, rows, steps, seed } = options;
  const progress = new StepProgress('teacher', steps, report);
  return trainLocally(engine, {
    program: teacherTrainProgram(model, { batch, rows }),
    initial: initialize(teacherNetwork(model), seed),
    steps,
    seed,
    optimizer,
    afterStep: ({ step, metrics }) => progress.step(step, { loss: metrics.loss ?? NaN }),
  });
}

/** Cross-entropy on the test images, nats a token; the teacher and the tokenizer have been published. */
export async function teacherCrossEntropy(engine: Engine, model: ModelConfig, rows: number): Promise<number> {
  let sum = 0;
  await forEachBatch(engine, teacherEvaluateProgram(model, { batch: evaluateBatch }), rows, 0, (_results, _ms, metrics) => {
    sum += (metrics.loss ?? NaN) * evaluateBatch;
  });
  return sum / rows;
}
