import { equal, pad, reshape, slice, where, type Tensor } from '@dd2/autodiff';
import { backboneKeysAndValues, backboneStep, previousEntry } from './backbone.js';
import type { KeyValueCache } from './attention.js';
import { Codebook } from './codebook.js';
import { linearLayer } from './layers.js';
import type { ModelConfig } from './model-config.js';
import type { ProgramBuilder, Stage, Value } from './program-builder.js';
import { teacherNetwork } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';

/** What token-by-token decoding carries from step to step. */
export interface DecodingState {
  /** int64 [B, n]: the tokens so far, 0 beyond */
  readonly tokens: Value;
  /** per layer [B, heads, n, D / heads] */
  readonly caches: readonly { readonly key: Value; readonly value: Value }[];
}

/** Empty state. */
export function decodingState(program: ProgramBuilder, model: ModelConfig): DecodingState {
  const shape = [program.batch, model.heads, model.tokens, model.width / model.heads];
  return {
    tokens: program.zeros('tokens', 'int64', [program.batch, model.tokens]),
    caches: Array.from({ length: model.layers }, (_, i) => ({
      key: program.zeros(`cache.${i}.key`, 'float32', shape),
      value: program.zeros(`cache.${i}.value`, 'float32', shape),
    })),
  };
}

/** What chooses a token sees: the teacher's logits [B, V] at `step` (int64 []). */
export interface DecodingStep {
  readonly logits: Tensor;
  readonly codebook: Codebook;
  readonly step: Tensor;
}

/**
 * Adds one graph, repeated over the positions from `from` on: the teacher's step with its key/value cache, then `choose`, which
 * returns the tokens int64 [B] of that position.
 */
export function decodeTokens(
  program: ProgramBuilder,
  model: ModelConfig,
  state: DecodingState,
  inputs: { classes: Value; step: Value; from: number },
  choose: (stage: Stage, at: DecodingStep) => Tensor,
): void {
  const write = (stage: Stage): void => {
    const teacher = stage.parameters(teacherNetwork(model));
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const step = stage.value(inputs.step);
    const tokens = stage.value(state.tokens);
    const caches = state.caches.map(({ key, value }) => ({ key: stage.value(key), value: stage.value(value) }));
    const previous = codebook.lookUp(previousEntry(tokens, step));
    const advanced = backboneStep(teacher.within('backbone'), model, stage.value(inputs.classes), previous, caches, step);
    const chosen = choose(stage, { logits: linearLayer(teacher.within('head'), advanced.hidden), codebook, step });
    const positions = stage.graph.integers(Array.from({ length: model.tokens }, (_, i) => i));
    stage.fetch(state.tokens.name, where(equal(positions, step), reshape(chosen, [program.batch, 1]), tokens));
    fetchCaches(stage, state, advanced.caches);
  };
  program.stage('teacher-step', write, { from: inputs.from, to: model.tokens });
}

/** Adds a graph that keeps the first `keep` of `tokens` and computes the cache of their positions in one pass. */
export function prefillTokens(program: ProgramBuilder, model: ModelConfig, state: DecodingState, inputs: { classes: Value; tokens: Value; keep: number }): void {
  const { keep } = inputs;
  const missing = model.tokens - keep;
  program.stage('prefill', (stage) => {
    const teacher = stage.parameters(teacherNetwork(model));
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const kept = slice(stage.value(inputs.tokens), 1, 0, keep);
    const vectors = keep > 1 ? codebook.lookUp(slice(kept, 1, 0, keep - 1)) : undefined;
    const prefix = backboneKeysAndValues(teacher.within('backbone'), model, stage.value(inputs.classes), vectors);
    const padded = (x: Tensor): Tensor => pad(x, [0, 0, 0, 0, 0, 0, missing, 0]);
    stage.fetch(state.tokens.name, pad(kept, [0, 0, 0, missing]));
    fetchCaches(stage, state, prefix.map(({ key, value }) => ({ key: padded(key), value: padded(value) })));
  });
}

function fetchCaches(stage: Stage, state: DecodingState, caches: readonly KeyValueCache[]): void {
  state.caches.forEach(({ key, value }, i) => {
    const cache = caches[i];
    if (!cache) return;
    stage.fetch(key.name, cache.key);
    stage.fetch(value.name, cache.value);
  });
}
