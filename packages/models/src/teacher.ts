import { reshape, slice, type Tensor } from '@dd2/autodiff';
import { backbone, backboneDefinition } from './backbone.js';
import { linearLayer } from './layers.js';
import { requireConsistent, type ModelConfig } from './model-config.js';
import { linearDefinition, within, type NetworkDefinition } from './network-definition.js';
import type { Parameters } from './parameters.js';

/** Where a program has the teacher's outputs from: its own forward pass, or results of another program (a teacher pool's). */
export type TeacherPlacement = 'fused' | 'given';

/** The AR model: backbone and a linear layer to the logits of the codes. */
export function teacherNetwork(model: ModelConfig): NetworkDefinition {
  requireConsistent(model);
  return {
    name: 'teacher',
    parameters: [...within('backbone', backboneDefinition(model)), ...within('head', linearDefinition(model.width, model.vocabulary))],
  };
}

/** Logits [B, n, V] of p(q_i | class, q_<i); `context` [B, n, d] holds the vectors of q_1 .. q_n, of which the last is not read. */
export function teacherLogits(p: Parameters, model: ModelConfig, classes: Tensor, context: Tensor): Tensor {
  const logits = linearLayer(p.within('head'), backbone(p.within('backbone'), model, classes, withoutLast(context)));
  return reshape(logits, [...context.shape.slice(0, 2), model.vocabulary]);
}

/** x_1 .. x_{n-1} of x [B, n, d]; undefined when n = 1. */
export function withoutLast(x: Tensor): Tensor | undefined {
  const length = x.shape[1] ?? 1;
  return length === 1 ? undefined : slice(x, 1, 0, length - 1);
}
