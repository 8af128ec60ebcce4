import { describe, expect, it } from 'vitest';
import { noisy, timesFrom } from './noise-path.js';
import { ProgramBuilder } from './program-builder.js';
import { numbersOf, runProgram, valueOf } from './testing/run-program.js';
import { normalTensor, uniformTensor } from './testing/small-model.js';

const [batch, draws, tokens, dimension] = [8, 4, 5, 3];

describe('noise path', () => {
  it('spreads stratified draws of a position over the range and mixes token and noise linearly', async () => {
    const range = { min: 0.2, max: 1, stratified: true };
    const program = new ProgramBuilder('noise-path', batch);
    const [u, x, noise] = [program.uniform('u', [draws, tokens, 1]), program.normal('x', [tokens, dimension]), program.normal('noise', [draws, tokens, dimension])];
    program.stage('noising', (stage) => {
      const times = timesFrom(stage.value(u), range);
      stage.fetch('times', times);
      stage.fetch('plain', timesFrom(stage.value(u), { ...range, stratified: false }));
      stage.fetch('xt', noisy(stage.value(x), times, stage.value(noise)));
    });
    const [uniform, clean, epsilon] = [uniformTensor([batch, draws, tokens, 1], 1), normalTensor([batch, tokens, dimension], 2), normalTensor([batch, draws, tokens, dimension], 3)];
    const environment = await runProgram(program.build(), [['u', uniform], ['x', clean], ['noise', epsilon]]);
    const [times, plain, xt] = ['times', 'plain', 'xt'].map((name) => numbersOf(valueOf(environment, name))) as [number[], number[], number[]];
    times.forEach((t, i) => {
      const draw = Math.floor(i / tokens) % draws;
      expect(t).toBeCloseTo(0.2 + (0.8 * (draw + (uniform.data[i] ?? NaN))) / draws, 6);
      expect(plain[i]).toBeCloseTo(0.2 + 0.8 * (uniform.data[i] ?? NaN), 6);
    });
    xt.forEach((value, i) => {
      const t = times[Math.floor(i / dimension)] ?? NaN;
      const sample = Math.floor(i / (draws * tokens * dimension));
      const within = i % (tokens * dimension);
      expect(value).toBeCloseTo((1 - t) * (clean.data[sample * tokens * dimension + within] ?? NaN) + t * (epsilon.data[i] ?? NaN), 5);
    });
  });
});
