import { describe, expect, it } from 'vitest';
import type { HostTensor } from '@dd2/core';
import { arDiffusionNetwork, contexts, generate } from './ar-diffusion.js';
import { ProgramBuilder } from './program-builder.js';
import { teacherLogits, teacherNetwork } from './teacher.js';
import { model } from './testing/reference.js';
import { numbersOf, parameterValues, runProgram, valueOf } from './testing/run-program.js';
import { counting, integerTensor, normalTensor, smallVectors } from './testing/small-model.js';

const batch = 4;
const { tokens, dimension, vocabulary, width } = model;

/** Teacher logits, contexts of the guidance network and generated tokens of one sequence of vectors. */
async function outputs(vectors: HostTensor): Promise<Record<'logits' | 'contexts' | 'generated', number[]>> {
  const program = new ProgramBuilder('causality', batch);
  const classes = program.index('class', model.classes);
  const sequence = program.normal('vectors', [tokens, dimension]);
  program.stage('forward', (stage) => {
    const [label, x] = [stage.value(classes), stage.value(sequence)];
    stage.fetch('logits', teacherLogits(stage.parameters(teacherNetwork(model)), model, label, x));
    stage.fetch('contexts', contexts(stage.parameters(arDiffusionNetwork(model, 'guidance')), model, label, x));
    stage.fetch('generated', generate(stage.parameters(arDiffusionNetwork(model, 'generator')), model, label, x));
  });
  const built = program.build();
  const environment = await runProgram(built, [
    ...parameterValues(built, smallVectors()),
    ['class', integerTensor([batch], counting(batch, 10))],
    ['vectors', vectors],
  ]);
  const read = (name: string): number[] => numbersOf(valueOf(environment, name));
  return { logits: read('logits'), contexts: read('contexts'), generated: read('generated') };
}

/** Positions [B][n] whose values (of `size` numbers) differ in any bit. */
function changed(a: readonly number[], b: readonly number[], size: number): boolean[][] {
  return Array.from({ length: batch }, (_, sequence) =>
    Array.from({ length: tokens }, (_, position) => {
      const from = (sequence * tokens + position) * size;
      return a.slice(from, from + size).some((value, i) => !Object.is(value, b[from + i]));
    }),
  );
}

describe('causality', () => {
  it.each([0, 9, tokens - 1])('a change of vector %i reaches later positions of the same sequence only', async (position) => {
    const vectors = normalTensor([batch, tokens, dimension], 1);
    const other = { ...vectors, data: vectors.data.slice() };
    const sequence = 2;
    const at = (sequence * tokens + position) * dimension;
    other.data.set(normalTensor([dimension], 2).data, at);
    const [before, after] = [await outputs(vectors), await outputs(other)];

    const later = (first: number): boolean[][] =>
      Array.from({ length: batch }, (_, s) => Array.from({ length: tokens }, (_, i) => s === sequence && i >= first));
    expect(changed(before.logits, after.logits, vocabulary)).toEqual(later(position + 1));
    expect(changed(before.contexts, after.contexts, width)).toEqual(later(position + 1));
    // the generator's head sees the noise of its own position as well
    expect(changed(before.generated, after.generated, dimension)).toEqual(later(position));
  });
});
