import { describe, expect, it } from 'vitest';
import { Codebook } from './codebook.js';
import { ProgramBuilder } from './program-builder.js';
import { model, reference } from './testing/reference.js';
import { numbersOf, runProgram, valueOf, parameterValues } from './testing/run-program.js';
import { normalTensor, smallVectors, uniformTensor } from './testing/small-model.js';
import { tokenizerNetwork } from './tokenizer.js';

const rows = 32;
const { vocabulary, dimension } = model;

/** Normalised codes in float64. */
function codes(): number[][] {
  const [all, mean, deviation] = ['codebook', 'latent.mean', 'latent.std'].map((name) => numbersOf(reference(`weights/tokenizer/${name}`)));
  return Array.from({ length: vocabulary }, (_, j) =>
    Array.from({ length: dimension }, (_, i) => ((all?.[j * dimension + i] ?? NaN) - (mean?.[i] ?? NaN)) / (deviation?.[i] ?? NaN)),
  );
}

const squaredDistance = (a: readonly number[], b: readonly number[], scale = 1): number =>
  a.reduce((sum, value, i) => sum + (value - scale * (b[i] ?? NaN)) ** 2, 0);

function rowsOf(values: readonly number[], size: number): number[][] {
  return Array.from({ length: values.length / size }, (_, r) => values.slice(r * size, (r + 1) * size));
}

describe('codebook', () => {
  it('finds nearest codes and posterior means as a plain loop over the codes does', async () => {
    const program = new ProgramBuilder('codebook', rows);
    const [noisy, time, logits] = [program.normal('xt', [dimension]), program.uniform('t', [1]), program.normal('logits', [vocabulary])];
    program.stage('query', (stage) => {
      const codebook = Codebook.normalised(stage.parameters(tokenizerNetwork(model)));
      stage.fetch('nearest', codebook.nearest(stage.value(noisy)));
      stage.fetch('snapped', codebook.snap(stage.value(noisy)));
      stage.fetch('mean', codebook.posteriorMean(stage.value(noisy), stage.value(time), stage.value(logits)));
    });
    const built = program.build();
    const [xt, t, prior] = [normalTensor([rows, dimension], 1), uniformTensor([rows, 1], 2), normalTensor([rows, vocabulary], 3)];
    // a softmax is indifferent to a constant: unnormalised logits are log priors too
    t.data.forEach((u, i) => (t.data[i] = i === 0 ? 1 : 0.05 + 0.95 * u));
    const environment = await runProgram(built, [...parameterValues(built, smallVectors()), ['xt', xt], ['t', t], ['logits', prior]]);

    const table = codes();
    const points = rowsOf(numbersOf(xt), dimension);
    const nearest = points.map((x) => {
      const distances = table.map((code) => squaredDistance(x, code));
      return distances.indexOf(Math.min(...distances));
    });
    expect(numbersOf(valueOf(environment, 'nearest'))).toEqual(nearest);

    const snapped = rowsOf(numbersOf(valueOf(environment, 'snapped')), dimension);
    const mean = rowsOf(numbersOf(valueOf(environment, 'mean')), dimension);
    points.forEach((x, r) => {
      expect(Math.sqrt(squaredDistance(snapped[r] ?? [], table[nearest[r] ?? -1] ?? []))).toBeLessThan(1e-6);
      const at = t.data[r] ?? NaN;
      const exponents = table.map((code, j) => (prior.data[r * vocabulary + j] ?? NaN) - squaredDistance(x, code, 1 - at) / (2 * at * at));
      const highest = Math.max(...exponents);
      const weights = exponents.map((e) => Math.exp(e - highest));
      const total = weights.reduce((a, b) => a + b);
      const expected = x.map((_, i) => table.reduce((sum, code, j) => sum + ((weights[j] ?? NaN) / total) * (code[i] ?? NaN), 0));
      expect(Math.sqrt(squaredDistance(mean[r] ?? [], expected))).toBeLessThan(2e-4);
    });
  });
});
