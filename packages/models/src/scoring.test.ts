import { describe, expect, it } from 'vitest';
import { classifierNetwork } from './classifier.js';
import { classifierEvaluateProgram } from './classifier-programs.js';
import { evaluationProgram } from './evaluation-program.js';
import { batch, caseOf, model, portableWeights, reference } from './testing/reference.js';
import { numbersOf, parameterValues, runProgram, valueOf, type Environment } from './testing/run-program.js';
import { counting, integerTensor, normalTensor, smallVectors } from './testing/small-model.js';

const width = 64;

/** Sums and uncentred second moments of rows, in float64. */
function statistics(rows: readonly number[]): { sum: number[]; outer: number[] } {
  const sum = new Array<number>(width).fill(0);
  const outer = new Array<number>(width * width).fill(0);
  for (let from = 0; from < rows.length; from += width) {
    const row = rows.slice(from, from + width);
    row.forEach((a, i) => {
      sum[i] = (sum[i] ?? NaN) + a;
      row.forEach((b, j) => (outer[i * width + j] = (outer[i * width + j] ?? NaN) + a * b));
    });
  }
  return { sum, outer };
}

function expectRelative(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.hypot(...expected);
  actual.forEach((value, i) => expect(Math.abs(value - (expected[i] ?? NaN)) / scale).toBeLessThan(tolerance));
}

describe('scoring', () => {
  it('sums features as a float64 loop does and counts hits', async () => {
    const program = classifierEvaluateProgram(model, { batch, split: 'test' });
    const classifier = portableWeights(classifierNetwork(model), caseOf('classifier').seed, 'classifier');
    const labels = integerTensor([batch], counting(batch, 10));
    const environment = await runProgram(program, [...parameterValues(program, { classifier }), ['images', reference('images')], ['class', labels]]);
    const expected = statistics(numbersOf(reference('classifier/result/features')));
    expectRelative(numbersOf(valueOf(environment, 'features.sum')), expected.sum, 1e-6);
    expectRelative(numbersOf(valueOf(environment, 'features.outer')), expected.outer, 1e-6);
    expect(numbersOf(valueOf(environment, 'count'))).toEqual([batch]);
    expect(await hits(environment, classifier)).toBe(true);
  });

  it('accumulates in float64: sums of float32 features carry no rounding beyond the features themselves', async () => {
    const samples = 64;
    const program = evaluationProgram(model, { kind: 'one-step' }, { batch: samples });
    const inputs = [
      ['class', integerTensor([samples], counting(samples, model.classes))],
      ['noise', normalTensor([samples, model.tokens, model.dimension], 3)],
    ] as const;
    const environment = await runProgram(program, [...parameterValues(program, smallVectors()), ...inputs.map(([n, v]): [string, typeof v] => [n, v])]);
    const { dtype, shape } = valueOf(environment, 'features.outer');
    expect({ dtype, shape: [...shape] }).toEqual({ dtype: 'float64', shape: [width, width] });
    const outer = numbersOf(valueOf(environment, 'features.outer'));
    // the second moment is symmetric to the last bits of float64, which float32 sums would not be told apart from
    counting(width * width, width * width).forEach((k) => {
      const mirrored = outer[(k % width) * width + Math.floor(k / width)] ?? NaN;
      expect(Math.abs((outer[k] ?? NaN) - mirrored)).toBeLessThanOrEqual(1e-12 * Math.abs(mirrored));
    });
  });
});

/** `correct` equals the count of an argmax over logits computed here. */
async function hits(environment: Environment, classifier: Float32Array): Promise<boolean> {
  const features = numbersOf(reference('classifier/result/features'));
  const outputs = classifier.subarray(classifier.length - (width + 1) * model.classes);
  let correct = 0;
  for (let row = 0; row < batch; row++) {
    const logits = counting(model.classes, model.classes).map((c) =>
      counting(width, width).reduce((sum, i) => sum + (features[row * width + i] ?? NaN) * (outputs[c * width + i] ?? NaN), outputs[width * model.classes + c] ?? NaN),
    );
    if (logits.indexOf(Math.max(...logits)) === row % model.classes) correct++;
  }
  return numbersOf(valueOf(environment, 'correct'))[0] === correct;
}
