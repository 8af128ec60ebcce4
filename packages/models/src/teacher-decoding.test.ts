import { describe, expect, it } from 'vitest';
import { equal, gather, reshape, where } from '@dd2/autodiff';
import type { HostTensor } from '@dd2/core';
import { Codebook } from './codebook.js';
import { sampleImagesProgram } from './evaluation-program.js';
import { ProgramBuilder } from './program-builder.js';
import { decodeTokens, decodingState, prefillTokens } from './teacher-decoding.js';
import { teacherLogits, teacherNetwork } from './teacher.js';
import { model } from './testing/reference.js';
import { numbersOf, parameterValues, runProgram, valueOf, zerosOf } from './testing/run-program.js';
import { counting, integerTensor, normalTensor, smallVectors, uniformTensor } from './testing/small-model.js';
import { tokenizerNetwork } from './tokenizer.js';

const batch = 4;
const { tokens, vocabulary, dimension } = model;
const classes = integerTensor([batch], counting(batch, 10));
const sequences = integerTensor([batch, tokens], Array.from({ length: batch * tokens }, (_, i) => (i * 7 + 3) % vocabulary));

/** Logits [B, n, V] of the teacher on whole sequences. */
async function fullLogits(of: HostTensor): Promise<number[]> {
  const program = new ProgramBuilder('full', batch);
  const label = program.index('class', model.classes);
  const sequence = program.zeros('sequence', 'int64', [batch, tokens]);
  program.stage('forward', (stage) => {
    const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
    const context = codebook.lookUp(stage.value(sequence));
    stage.fetch('logits', teacherLogits(stage.parameters(teacherNetwork(model)), model, stage.value(label), context));
  });
  const built = program.build();
  const environment = await runProgram(built, [...parameterValues(built, smallVectors()), ['class', classes], ['sequence', of]]);
  return numbersOf(valueOf(environment, 'logits'));
}

/** The logits that stepwise decoding sees when every choice is forced, from position `keep` on after a prefill of the first `keep`. */
async function steppedLogits(keep: number): Promise<number[]> {
  const program = new ProgramBuilder('stepped', batch);
  const label = program.index('class', model.classes);
  const forced = program.zeros('forced', 'int64', [batch, tokens]);
  const seen = program.zeros('seen', 'float32', [batch, tokens, vocabulary]);
  const step = program.step();
  const state = decodingState(program, model);
  if (keep > 0) prefillTokens(program, model, state, { classes: label, tokens: forced, keep });
  decodeTokens(program, model, state, { classes: label, step, from: keep }, (stage, at) => {
    const here = reshape(equal(stage.graph.integers(counting(tokens, tokens)), at.step), [tokens, 1]);
    stage.fetch('seen', where(here, reshape(at.logits, [batch, 1, vocabulary]), stage.value(seen)));
    return gather(stage.value(forced), at.step, 1);
  });
  const built = program.build();
  const environment = await runProgram(built, [...parameterValues(built, smallVectors()), ['class', classes], ['forced', sequences]]);
  expect(numbersOf(valueOf(environment, 'tokens'))).toEqual(numbersOf(sequences));
  return numbersOf(valueOf(environment, 'seen'));
}

describe('teacher decoding with a key/value cache', () => {
  it.each([0, 1, 5, tokens - 1])('equals the full forward pass, %i tokens prefilled', async (keep) => {
    const [full, stepped] = [await fullLogits(sequences), await steppedLogits(keep)];
    full.forEach((logit, i) => {
      const position = Math.floor(i / vocabulary) % tokens;
      if (position >= keep) expect(Math.abs((stepped[i] ?? NaN) - logit)).toBeLessThan(2e-5);
    });
  });

  it('samples the argmax of logits plus Gumbel noise, and multi-step keeps the one-step prefix', async () => {
    const uniform = uniformTensor([batch, tokens, vocabulary], 4);
    const noise = normalTensor([batch, tokens, dimension], 5);
    const keep = 6;
    for (const sampler of [{ kind: 'teacher' }, { kind: 'multi-step', keep }] as const) {
      const program = sampleImagesProgram(model, sampler, { batch });
      const inputs: [string, HostTensor][] = [['class', classes], ['gumbel', uniform], ['noise', noise]];
      const environment = await runProgram(program, [...parameterValues(program, smallVectors()), ...inputs]);
      const sampled = numbersOf(valueOf(environment, 'tokens'));
      const logits = await fullLogits(integerTensor([batch, tokens], sampled));
      const first = sampler.kind === 'teacher' ? 0 : keep;
      if (first > 0) {
        const oneStep = numbersOf(valueOf(environment, 'tokens.one-step'));
        expect(prefixes(sampled, first)).toEqual(prefixes(oneStep, first));
        expect(sampled).not.toEqual(oneStep);
      }
      sampled.forEach((token, row) => {
        if (row % tokens < first) return;
        const scores = counting(vocabulary, vocabulary).map((j) => (logits[row * vocabulary + j] ?? NaN) - Math.log(-Math.log(uniform.data[row * vocabulary + j] ?? NaN)));
        expect(token).toBe(scores.indexOf(Math.max(...scores)));
      });
    }
  });

  it('draws tokens that were counted at their position only, in the naive sampler', async () => {
    const marginals = zerosOf('float32', [model.classes, tokens, vocabulary]);
    for (let row = 0; row < model.classes * tokens; row++) marginals.data[row * vocabulary + ((row * 3) % vocabulary)] = 17;
    const program = sampleImagesProgram(model, { kind: 'naive' }, { batch });
    const inputs: [string, HostTensor][] = [['class', classes], ['gumbel', uniformTensor([batch, tokens, vocabulary], 6)], ['naive.marginals', marginals]];
    const environment = await runProgram(program, [...parameterValues(program, smallVectors()), ...inputs]);
    expect(numbersOf(valueOf(environment, 'tokens'))).toEqual(counting(batch * tokens, batch * tokens).map((row) => (row * 3) % vocabulary));
  });
});

function prefixes(values: readonly number[], length: number): number[][] {
  return Array.from({ length: batch }, (_, b) => values.slice(b * tokens, b * tokens + length));
}
