import { add, div, gather, logSoftmax, mul, sub, type Tensor } from '@dd2/autodiff';
import { Dd2Error, type Program } from '@dd2/core';
import type { Codebook } from './codebook.js';
import type { ModelConfig } from './model-config.js';
import { ProgramBuilder } from './program-builder.js';
import { decodeTokens, decodingState } from './teacher-decoding.js';

/** Stream of the noise of a pair, addressed by the pair's index with update 0: `regress` draws the same numbers again. */
export const targetNoise = 'target-noise';

/**
 * Targets of Distilled Decoding 1 (arXiv 2412.17153): per token, `odeSteps` Euler steps of dx/dt = v_teacher from noise (t = 1) to
 * t = 0, then the nearest code, conditioned on the codes before. Sample i of update 0 is pair i. Result `tokens` int64 [B, n].
 */
export function targetsProgram(model: ModelConfig, options: { batch: number; odeSteps: number }): Program {
  if (!Number.isInteger(options.odeSteps) || options.odeSteps < 1) {
    throw new Dd2Error('INVALID_ARGUMENT', `${options.odeSteps} Euler steps`, { field: 'odeSteps', remedy: 'Use a positive integer' });
  }
  const program = new ProgramBuilder('targets', options.batch);
  const classes = program.index('class', model.classes);
  const noise = program.normal('noise', [model.tokens, model.dimension], { stream: targetNoise });
  const step = program.step();
  const state = decodingState(program, model);
  decodeTokens(program, model, state, { classes, step, from: 0 }, (stage, at) => {
    const start = gather(stage.value(noise), at.step, 1);
    return at.codebook.nearest(solveFlow(at.codebook, logSoftmax(at.logits, -1), start, options.odeSteps));
  });
  program.result('tokens', state.tokens);
  return program.build();
}

/** Euler steps of the teacher's closed-form velocity from `start` [B, d] at t = 1 down to t = 0, unrolled. */
function solveFlow(codebook: Codebook, logPrior: Tensor, start: Tensor, steps: number): Tensor {
  const [batch] = start.shape as [number];
  let z = start;
  for (let k = 0; k < steps; k++) {
    const t = 1 - k / steps;
    const time = start.graph.constant(new Float32Array(batch).fill(t), [batch, 1]);
    const velocity = div(sub(z, codebook.posteriorMean(z, time, logPrior)), t);
    z = add(z, mul(velocity, -1 / steps));
  }
  return z;
}
