import { add, concat, embedding, equal, gather, maximum, relu, reshape, slice, sub, where, type Tensor } from '@dd2/autodiff';
import { attend, cachedAttention, causalAttention, projectHeads, type KeyValueCache } from './attention.js';
import { causalMask } from './causal-mask.js';
import { linearLayer, normLayer } from './layers.js';
import type { ModelConfig } from './model-config.js';
import { linearDefinition, normDefinition, normal, within, type ParameterDefinition } from './network-definition.js';
import type { Parameters } from './parameters.js';

/** The causal transformer that teacher and AR-diffusion network share: pre-norm, ReLU MLP, learned positions. */
export function backboneDefinition(model: ModelConfig): ParameterDefinition[] {
  const { width, layers, dimension, tokens, classes } = model;
  const block = [
    ...within('norm1', normDefinition(width)),
    ...within('attention.qkv', linearDefinition(width, 3 * width)),
    ...within('attention.output', linearDefinition(width, width)),
    ...within('norm2', normDefinition(width)),
    ...within('mlp.up', linearDefinition(width, 4 * width)),
    ...within('mlp.down', linearDefinition(4 * width, width)),
  ];
  return [
    { name: 'class', shape: [classes, width], init: normal(1) },
    ...within('input', linearDefinition(dimension, width)),
    { name: 'position', shape: [tokens, width], init: normal(0.02) },
    ...Array.from({ length: layers }, (_, i) => within(`blocks.${i}`, block)).flat(),
    ...within('norm', normDefinition(width)),
  ];
}

/**
 * One pass over whole sequences: class int64 [B] and vectors e_1 .. e_{m-1} [B, m-1, d] (codes or noise), or none when m = 1,
 * -> h [B * m, D], where h_i sees the class and e_<i.
 */
export function backbone(p: Parameters, model: ModelConfig, classes: Tensor, vectors: Tensor | undefined): Tensor {
  const sequences = { batch: classes.shape[0] ?? 1, heads: model.heads };
  let x = embedSequence(p, classes, vectors);
  for (let i = 0; i < model.layers; i++) {
    x = block(p.within(`blocks.${i}`), x, (attention, y) => causalAttention(attention, y, sequences));
  }
  return normLayer(p.within('norm'), x);
}

/** The keys and values that `backbone` computes on the way, per layer [B, heads, m, D / heads]: the start of a cache. */
export function backboneKeysAndValues(p: Parameters, model: ModelConfig, classes: Tensor, vectors: Tensor | undefined): KeyValueCache[] {
  const sequences = { batch: classes.shape[0] ?? 1, heads: model.heads };
  const mask = causalMask(classes.graph, 1 + (vectors?.shape[1] ?? 0));
  const caches: KeyValueCache[] = [];
  let x = embedSequence(p, classes, vectors);
  for (let i = 0; i < model.layers; i++) {
    x = block(p.within(`blocks.${i}`), x, (attention, y) => {
      const heads = projectHeads(attention, y, sequences);
      caches.push({ key: heads.key, value: heads.value });
      return attend(attention, heads, mask);
    });
  }
  return caches;
}

/**
 * The same pass one position at a time: `previous` [B, d] is the vector before position `step` (int64 []; it is not read at
 * step 0, where the class comes in) -> h at `step` [B, D], and the caches with this position written.
 */
export function backboneStep(
  p: Parameters,
  model: ModelConfig,
  classes: Tensor,
  previous: Tensor,
  caches: readonly KeyValueCache[],
  step: Tensor,
): { hidden: Tensor; caches: KeyValueCache[] } {
  const sequences = { batch: classes.shape[0] ?? 1, heads: model.heads };
  const first = embedding(p.tensor('class'), classes);
  const input = where(equal(step, step.graph.scalar(0, 'int64')), first, linearLayer(p.within('input'), previous));
  let x = add(input, gather(p.tensor('position'), step, 0));
  const next = caches.map((cache, i) => {
    let written = cache;
    x = block(p.within(`blocks.${i}`), x, (attention, y) => {
      const attended = cachedAttention(attention, y, sequences, cache, step);
      written = attended.cache;
      return attended.output;
    });
    return written;
  });
  return { hidden: normLayer(p.within('norm'), x), caches: next };
}

/** The entry of `sequence` [B, n, ...] before position `step`; entry 0 at step 0. */
export function previousEntry(sequence: Tensor, step: Tensor): Tensor {
  const zero = step.graph.scalar(0, 'int64');
  return gather(sequence, maximum(sub(step, step.graph.scalar(1, 'int64')), zero), 1);
}

/** Rows [B * m, D]. */
function embedSequence(p: Parameters, classes: Tensor, vectors: Tensor | undefined): Tensor {
  const position = p.tensor('position');
  const first = embedding(p.tensor('class'), classes);
  const [batch, width] = first.shape as [number, number];
  const start = reshape(first, [batch, 1, width]);
  const sequence = vectors === undefined ? start : concat([start, linearLayer(p.within('input'), vectors)], 1);
  const length = sequence.shape[1] ?? 1;
  return reshape(add(sequence, slice(position, 0, 0, length)), [batch * length, width]);
}

function block(p: Parameters, x: Tensor, attention: (p: Parameters, y: Tensor) => Tensor): Tensor {
  const attended = add(x, attention(p.within('attention'), normLayer(p.within('norm1'), x)));
  const mlp = p.within('mlp');
  return add(attended, linearLayer(mlp.within('down'), relu(linearLayer(mlp.within('up'), normLayer(p.within('norm2'), attended)))));
}
