import type { Program } from '@dd2/core';
import { Codebook } from './codebook.js';
import type { ModelConfig } from './model-config.js';
import { ProgramBuilder } from './program-builder.js';
import { addSampler, type TokenSource } from './sampler.js';
import { scorePixels } from './scoring.js';
import { decode, imagesFrom, tokenizerNetwork } from './tokenizer.js';

/** Samples images and returns their feature statistics (see `scorePixels`). Sample i asks for class i modulo classes. */
export function evaluationProgram(model: ModelConfig, sampler: TokenSource, options: { batch: number }): Program {
  const program = new ProgramBuilder(`evaluate.${sampler.kind}`, options.batch);
  const { tokens, classes } = addSampler(program, model, sampler);
  program.stage('score', (stage) => {
    const tokenizer = stage.parameters(tokenizerNetwork(model));
    const pixels = decode(tokenizer, model, Codebook.raw(tokenizer).lookUp(stage.value(tokens)));
    scorePixels(program, stage, model, pixels, stage.value(classes));
  });
  return program.build();
}

/** Samples images to look at: results `images` uint8 [B, 28, 28], `tokens` int64 [B, n], `class` int64 [B]. */
export function sampleImagesProgram(model: ModelConfig, sampler: TokenSource, options: { batch: number }): Program {
  const program = new ProgramBuilder(`sample.${sampler.kind}`, options.batch);
  const { tokens, classes } = addSampler(program, model, sampler);
  program.stage('decode', (stage) => {
    const tokenizer = stage.parameters(tokenizerNetwork(model));
    const pixels = decode(tokenizer, model, Codebook.raw(tokenizer).lookUp(stage.value(tokens)));
    program.result('images', stage.fetch('images', imagesFrom(pixels)));
  });
  program.result('tokens', tokens);
  program.result('class', classes);
  return program.build();
}

/** The token sequences alone, to be continued, scored or decoded by another program: result `tokens` int64 [B, n]. */
export function sampleTokensProgram(model: ModelConfig, sampler: TokenSource, options: { batch: number }): Program {
  const program = new ProgramBuilder(`sample-tokens.${sampler.kind}`, options.batch);
  program.result('tokens', addSampler(program, model, sampler).tokens);
  return program.build();
}
