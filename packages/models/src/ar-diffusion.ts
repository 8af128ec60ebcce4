import { mul, reshape, sub, type Tensor } from '@dd2/autodiff';
import { Dd2Error } from '@dd2/core';
import { backbone, backboneDefinition } from './backbone.js';
import { headDefinition, headVelocity } from './diffusion-head.js';
import { requireConsistent, type ModelConfig } from './model-config.js';
import { initialize, layoutOf, slotOf, within, type NetworkDefinition } from './network-definition.js';
import { perDraw } from './noise-path.js';
import type { Parameters } from './parameters.js';
import { teacherNetwork, withoutLast } from './teacher.js';

/** The AR-diffusion network (generator and guidance network): the teacher's backbone and a diffusion head. */
export function arDiffusionNetwork(model: ModelConfig, name: 'generator' | 'guidance'): NetworkDefinition {
  requireConsistent(model);
  return { name, parameters: [...within('backbone', backboneDefinition(model)), ...within('head', headDefinition(model))] };
}

/**
 * The start of phase tune: the teacher's backbone (same tensors, same names) and a freshly drawn head.
 * @throws {Dd2Error} INVALID_ARGUMENT when `teacher` is not a flat vector of this model's teacher
 */
export function arDiffusionFromTeacher(model: ModelConfig, teacher: Float32Array, seed: number): Float32Array {
  const from = layoutOf(teacherNetwork(model));
  if (teacher.length !== from.size) {
    throw new Dd2Error('INVALID_ARGUMENT', `${teacher.length} floats are not a teacher of ${from.size}`, { field: 'teacher', remedy: 'Use the teacher of this model configuration' });
  }
  const definition = arDiffusionNetwork(model, 'generator');
  const flat = initialize(definition, seed);
  for (const { name, offset, size } of layoutOf(definition).tensors) {
    if (!name.startsWith('backbone.')) continue;
    const source = slotOf(from, name).offset;
    flat.set(teacher.subarray(source, source + size), offset);
  }
  return flat;
}

/** Contexts h [B * n, D]: h_i sees the class and the vectors before i of `sequence` [B, n, d]. */
export function contexts(p: Parameters, model: ModelConfig, classes: Tensor, sequence: Tensor): Tensor {
  return backbone(p.within('backbone'), model, classes, withoutLast(sequence));
}

/** Velocities of K draws a position on one backbone pass: xt [B, K, n, d], t [B, K, n, 1], h [B * n, D] -> [B, K, n, d]. */
export function velocity(p: Parameters, model: ModelConfig, xt: Tensor, t: Tensor, h: Tensor): Tensor {
  return headVelocity(p.within('head'), model, xt, t, h);
}

/** Posterior mean x0 = x_t - t v, [B, K, n, d]. */
export function posteriorMean(p: Parameters, model: ModelConfig, xt: Tensor, t: Tensor, h: Tensor): Tensor {
  return sub(xt, mul(t, velocity(p, model, xt, t, h)));
}

/** The generator: one pass from noise [B, n, d] to all token embeddings [B, n, d], x_i = eps_i - v(eps_i, 1, h_i), h_i from eps_<i. */
export function generate(p: Parameters, model: ModelConfig, classes: Tensor, noise: Tensor): Tensor {
  const h = contexts(p, model, classes, noise);
  const start = noise.graph.constant(Float32Array.of(1), [1, 1, 1, 1]);
  return sub(noise, reshape(velocity(p, model, perDraw(noise), start, h), noise.shape));
}
