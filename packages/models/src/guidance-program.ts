import type { Program, TimeRange } from '@dd2/core';
import { arDiffusionNetwork, generate } from './ar-diffusion.js';
import { Codebook } from './codebook.js';
import type { Contexts } from './conditional-score-distillation.js';
import { fakeConditionalScoreLoss } from './fake-conditional-score.js';
import type { ModelConfig } from './model-config.js';
import { timesFrom } from './noise-path.js';
import { ProgramBuilder } from './program-builder.js';
import { tokenizerNetwork } from './tokenizer.js';

/** Guidance update of align and distill: the gradient of the fake-conditional-score loss on fresh samples of the frozen generator. */
export function guidanceProgram(model: ModelConfig, options: { batch: number; draws: number; time: TimeRange; contexts: Contexts }): Program {
  const { tokens, dimension } = model;
  const { draws } = options;
  const program = new ProgramBuilder('distill.guidance', options.batch);
  const label = program.integer('class', model.classes);
  const noise = program.normal('noise', [tokens, dimension]);
  const time = program.uniform('time', [draws, tokens, 1]);
  const diffusion = program.normal('diffusion', [draws, tokens, dimension]);

  program.stage('fake-conditional-score', (stage) => {
    const guidance = stage.parameters(arDiffusionNetwork(model, 'guidance'));
    const generator = stage.parameters(arDiffusionNetwork(model, 'generator'));
    const codebook = options.contexts === 'snapped' ? Codebook.normalised(stage.parameters(tokenizerNetwork(model))) : undefined;
    const classes = stage.value(label);
    const sample = { classes, x: generate(generator, model, classes, stage.value(noise)) };
    const noising = { times: timesFrom(stage.value(time), options.time), noise: stage.value(diffusion) };
    const loss = fakeConditionalScoreLoss(guidance, model, sample, noising, codebook);
    stage.gradient(loss, guidance);
    program.metric('loss', stage.fetch('loss', loss));
  });
  return program.build();
}
