import type { Program, TimeRange } from '@dd2/core';
import { arDiffusionNetwork, generate } from './ar-diffusion.js';
import { Codebook } from './codebook.js';
import { conditionalScoreDistillationLoss, type DistillationObjective } from './conditional-score-distillation.js';
import type { ModelConfig } from './model-config.js';
import { timesFrom } from './noise-path.js';
import { ProgramBuilder } from './program-builder.js';
import { teacherNetwork } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';

/** Generator update of distill: the gradient of the conditional-score-distillation loss, teacher and guidance network frozen. */
export function generatorProgram(model: ModelConfig, options: { batch: number; draws: number; time: TimeRange } & DistillationObjective): Program {
  const { tokens, dimension } = model;
  const { draws } = options;
  const program = new ProgramBuilder('distill.generator', options.batch);
  const label = program.integer('class', model.classes);
  const noise = program.normal('noise', [tokens, dimension]);
  const time = program.uniform('time', [draws, tokens, 1]);
  const diffusion = program.normal('diffusion', [draws, tokens, dimension]);

  program.stage('conditional-score-distillation', (stage) => {
    const generator = stage.parameters(arDiffusionNetwork(model, 'generator'));
    const networks = {
      teacher: stage.parameters(teacherNetwork(model)),
      guidance: stage.parameters(arDiffusionNetwork(model, 'guidance')),
      codebook: Codebook.normalised(stage.parameters(tokenizerNetwork(model))),
    };
    const classes = stage.value(label);
    const sample = { classes, x: generate(generator, model, classes, stage.value(noise)) };
    const noising = { times: timesFrom(stage.value(time), options.time), noise: stage.value(diffusion) };
    const { loss, gap } = conditionalScoreDistillationLoss(networks, model, sample, noising, options);
    stage.gradient(loss, generator);
    program.metric('loss', stage.fetch('loss', loss));
    program.metric('gap', stage.fetch('gap', gap));
  });
  return program.build();
}
