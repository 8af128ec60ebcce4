import { gather, log, maximum, type Tensor } from '@dd2/autodiff';
import { Dd2Error } from '@dd2/core';
import { arDiffusionNetwork, generate } from './ar-diffusion.js';
import { Codebook } from './codebook.js';
import { sampleCategories } from './gumbel.js';
import type { ModelConfig } from './model-config.js';
import type { ProgramBuilder, Value } from './program-builder.js';
import { decodeTokens, decodingState, prefillTokens } from './teacher-decoding.js';
import { tokenizerNetwork } from './tokenizer.js';

/** How token sequences come about that are to be scored or shown. */
export type Sampler =
  /** the generator's tokens, snapped to the nearest codes: one pass */
  | { readonly kind: 'one-step' }
  /** the teacher, token by token */
  | { readonly kind: 'teacher' }
  /** the first `keep` tokens (1 .. n - 1) of the one-step sample, the others by the teacher */
  | { readonly kind: 'multi-step'; readonly keep: number }
  /** independent draws from the class's marginal distribution at every position */
  | { readonly kind: 'naive' }
  /** the tokens of test images: what the tokenizer alone loses */
  | { readonly kind: 'reconstruction' };

/** A sampler, or what is left of one when its first steps were programs of their own. */
export type TokenSource =
  | Sampler
  /** tokens that are given */
  | { readonly kind: 'given' }
  /** the first `keep` (1 .. n - 1) of tokens that are given, the others by the teacher */
  | { readonly kind: 'continued'; readonly keep: number };

/** `tokens` int64 [B, n] and the class int64 [B] that each was asked for. */
export interface SampledTokens {
  readonly tokens: Value;
  readonly classes: Value;
}

/** Adds the inputs and stages of a sampler to a program. */
export function addSampler(program: ProgramBuilder, model: ModelConfig, sampler: TokenSource): SampledTokens {
  switch (sampler.kind) {
    case 'one-step':
      return addOneStep(program, model);
    case 'teacher':
      return addTeacher(program, model);
    case 'multi-step':
      return addContinued(program, model, addOneStep(program, model), sampler.keep);
    case 'naive':
      return addNaive(program, model);
    case 'reconstruction':
      return addReconstruction(program, model);
    case 'given':
      return addGiven(program, model);
    case 'continued':
      return addContinued(program, model, addGiven(program, model), sampler.keep);
  }
}

function addOneStep(program: ProgramBuilder, model: ModelConfig): SampledTokens {
  const classes = program.index('class', model.classes);
  const noise = program.normal('noise', [model.tokens, model.dimension]);
  const tokens = program.stage('one-step', (stage) => {
    const generator = stage.parameters(arDiffusionNetwork(model, 'generator'));
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const x = generate(generator, model, stage.value(classes), stage.value(noise));
    return stage.fetch('tokens.one-step', codebook.nearest(x));
  });
  return { tokens, classes };
}

function addTeacher(program: ProgramBuilder, model: ModelConfig): SampledTokens {
  const classes = program.index('class', model.classes);
  return { tokens: addTeacherDecoding(program, model, classes, undefined), classes };
}

function addGiven(program: ProgramBuilder, model: ModelConfig): SampledTokens {
  return { tokens: program.given('tokens.given', 'int64', [model.tokens], 'tokens'), classes: program.index('class', model.classes) };
}

function addContinued(program: ProgramBuilder, model: ModelConfig, { tokens, classes }: SampledTokens, keep: number): SampledTokens {
  if (!Number.isInteger(keep) || keep < 1 || keep >= model.tokens) {
    throw new Dd2Error('INVALID_ARGUMENT', `cannot keep ${keep} of ${model.tokens} tokens`, { field: 'keep', remedy: `Use 1 to ${model.tokens - 1}` });
  }
  return { tokens: addTeacherDecoding(program, model, classes, { tokens, keep }), classes };
}

/** The teacher's tokens from position 0, or from the end of a kept prefix. */
function addTeacherDecoding(program: ProgramBuilder, model: ModelConfig, classes: Value, prefix: { tokens: Value; keep: number } | undefined): Value {
  const uniform = program.uniform('gumbel', [model.tokens, model.vocabulary]);
  const step = program.step();
  const state = decodingState(program, model);
  if (prefix) prefillTokens(program, model, state, { classes, ...prefix });
  decodeTokens(program, model, state, { classes, step, from: prefix?.keep ?? 0 }, (stage, at) =>
    sampleCategories(at.logits, gather(stage.value(uniform), at.step, 1)),
  );
  return state.tokens;
}

function addNaive(program: ProgramBuilder, model: ModelConfig): SampledTokens {
  const { classes: count, tokens: length, vocabulary } = model;
  const classes = program.index('class', count);
  const uniform = program.uniform('gumbel', [length, vocabulary]);
  const marginals = program.asset('naive.marginals', 'float32', [count, length, vocabulary]);
  const tokens = program.stage('naive', (stage) => {
    const ofClass = gather(stage.value(marginals), stage.value(classes), 0);
    return stage.fetch('tokens', sampleCategories(logOf(ofClass), stage.value(uniform)));
  });
  return { tokens, classes };
}

/** Logarithm of a frequency; what was never counted is never drawn. */
function logOf(frequency: Tensor): Tensor {
  return log(maximum(frequency, 1e-30));
}

function addReconstruction(program: ProgramBuilder, model: ModelConfig): SampledTokens {
  const row = program.index('row');
  return {
    tokens: program.rows('tokens', 'test.tokens', 'int64', [model.tokens], row),
    classes: program.rows('class', 'test.labels', 'int64', [], row),
  };
}
