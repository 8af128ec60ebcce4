import { describe, expect, it } from 'vitest';
import { expand } from '@dd2/autodiff';
import { sampleCategories } from './gumbel.js';
import { ProgramBuilder } from './program-builder.js';
import { numbersOf, runProgram, valueOf } from './testing/run-program.js';
import { uniformTensor } from './testing/small-model.js';

describe('Gumbel-max sampling', () => {
  it('draws categories with the probabilities that the logits say', async () => {
    const rows = 20_000;
    const probabilities = [0.5, 0.3, 0.15, 0.05];
    const program = new ProgramBuilder('gumbel', rows);
    const uniform = program.uniform('u', [probabilities.length]);
    program.stage('draw', (stage) => {
      const logits = stage.graph.constant(Float32Array.from(probabilities, (p) => Math.log(p) + 3), [1, probabilities.length]);
      stage.fetch('drawn', sampleCategories(expand(logits, [rows, probabilities.length]), stage.value(uniform)));
    });
    const environment = await runProgram(program.build(), [['u', uniformTensor([rows, probabilities.length], 1)]]);
    const drawn = numbersOf(valueOf(environment, 'drawn'));
    const chiSquare = probabilities.reduce((sum, p, j) => sum + (drawn.filter((k) => k === j).length - rows * p) ** 2 / (rows * p), 0);
    // 99.9 % quantile of chi-square with three degrees of freedom
    expect(chiSquare).toBeLessThan(16.27);
  });
});
