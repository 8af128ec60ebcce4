import { reduceMean, square, sub } from '@dd2/autodiff';
import type { Program } from '@dd2/core';
import { arDiffusionNetwork, generate } from './ar-diffusion.js';
import { Codebook } from './codebook.js';
import type { ModelConfig } from './model-config.js';
import { ProgramBuilder } from './program-builder.js';
import { remainder } from './remainder.js';
import { targetNoise } from './targets-program.js';
import { tokenizerNetwork } from './tokenizer.js';

/**
 * Phase regress (Distilled Decoding 1, arXiv 2412.17153): the gradient of mean |G(eps) - c_q|^2 over teacher ODE pairs (eps, q). The
 * noise of a pair is drawn again from its index; its tokens are the asset `targets.tokens`; its class is the index modulo classes.
 */
export function regressProgram(model: ModelConfig, options: { batch: number; pairs: number }): Program {
  const { tokens, dimension } = model;
  const program = new ProgramBuilder('regress.generator', options.batch);
  const pair = program.integer('pair', options.pairs);
  const noise = program.normal('noise', [tokens, dimension], { stream: targetNoise, by: pair });
  const target = program.rows('target', 'targets.tokens', 'int64', [tokens], pair);

  program.stage('regression', (stage) => {
    const generator = stage.parameters(arDiffusionNetwork(model, 'generator'));
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const classes = remainder(stage.value(pair), model.classes);
    const x = generate(generator, model, classes, stage.value(noise));
    const loss = reduceMean(square(sub(x, codebook.lookUp(stage.value(target)))));
    stage.gradient(loss, generator);
    program.metric('loss', stage.fetch('loss', loss));
  });
  return program.build();
}
