import type { Program, TimeRange } from '@dd2/core';
import { arDiffusionNetwork } from './ar-diffusion.js';
import { Codebook } from './codebook.js';
import { groundTruthScoreLoss } from './ground-truth-score.js';
import type { ModelConfig } from './model-config.js';
import { timesFrom } from './noise-path.js';
import { ProgramBuilder } from './program-builder.js';
import { teacherNetwork } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';

/** Phase tune: the gradient of the ground-truth-score loss for the generator's network, on `rows` token sequences of the training set. */
export function tuneProgram(model: ModelConfig, options: { batch: number; draws: number; time: TimeRange; rows: number }): Program {
  const { tokens, dimension } = model;
  const { draws } = options;
  const program = new ProgramBuilder('tune.generator', options.batch);
  const row = program.integer('row', options.rows);
  const sequence = program.rows('tokens', 'train.tokens', 'int64', [tokens], row);
  const label = program.rows('class', 'train.labels', 'int64', [], row);
  const time = program.uniform('time', [draws, tokens, 1]);
  const diffusion = program.normal('diffusion', [draws, tokens, dimension]);

  program.stage('ground-truth-score', (stage) => {
    const student = stage.parameters(arDiffusionNetwork(model, 'generator'));
    const networks = {
      student,
      teacher: stage.parameters(teacherNetwork(model)),
      codebook: Codebook.normalised(stage.parameters(tokenizerNetwork(model))),
    };
    const data = { classes: stage.value(label), tokens: stage.value(sequence) };
    const noising = { times: timesFrom(stage.value(time), options.time), noise: stage.value(diffusion) };
    const loss = groundTruthScoreLoss(networks, model, data, noising);
    stage.gradient(loss, student);
    program.metric('loss', stage.fetch('loss', loss));
  });
  return program.build();
}
