import { add, concat, cos, layerNorm, linear, mul, reshape, silu, sin, split, type Tensor } from '@dd2/autodiff';
import { linearLayer } from './layers.js';
import type { ModelConfig } from './model-config.js';
import { linearDefinition, within, zeros, type ParameterDefinition } from './network-definition.js';
import type { Parameters } from './parameters.js';

/** Frequencies of the time embedding: geometric from 1 to 1,000. */
const frequencyCount = 32;
const highestFrequency = 1_000;

/**
 * The small head of the AR-diffusion network: an MLP of width W over x_t whose residual blocks are modulated (AdaLN: shift,
 * scale, gate) by time and context. Modulations and output start at zero.
 */
export function headDefinition(model: ModelConfig): ParameterDefinition[] {
  const { dimension, width, headWidth, headBlocks } = model;
  const square = linearDefinition(headWidth, headWidth);
  const block = [...within('modulation', linearDefinition(headWidth, 3 * headWidth, zeros)), ...within('mlp1', square), ...within('mlp2', square)];
  return [
    ...within('input', linearDefinition(dimension, headWidth)),
    ...within('hidden', linearDefinition(width, headWidth)),
    ...within('time1', linearDefinition(2 * frequencyCount, headWidth)),
    ...within('time2', linearDefinition(headWidth, headWidth)),
    ...Array.from({ length: headBlocks }, (_, i) => within(`blocks.${i}`, block)).flat(),
    ...within('modulation', linearDefinition(headWidth, 2 * headWidth, zeros)),
    ...within('output', linearDefinition(headWidth, dimension, zeros)),
  ];
}

/**
 * Velocities [B, K, n, d] of K noisy versions xt [B, K, n, d] of every token at times t [B, K, n, 1], given contexts h [B * n, D]. What depends on
 * the context alone is computed once for the K draws. A `t` of size 1 is shared by all tokens.
 */
export function headVelocity(p: Parameters, model: ModelConfig, xt: Tensor, t: Tensor, h: Tensor): Tensor {
  const { headWidth } = model;
  const [batch, draws, tokens] = xt.shape as [number, number, number, number];
  const rows = batch * draws * tokens;
  const hidden = reshape(linearLayer(p.within('hidden'), h), [batch, 1, tokens, headWidth]);
  const time = timeEmbedding(p, reshape(t, [t.size, 1]));
  const sum = add(t.size === 1 ? time : reshape(time, [batch, draws, tokens, headWidth]), hidden);
  const condition = silu(reshape(sum, [rows, headWidth]));
  let x = linearLayer(p.within('input'), reshape(xt, [rows, model.dimension]));
  for (let i = 0; i < model.headBlocks; i++) {
    const b = p.within(`blocks.${i}`);
    const [shift, factor, gate] = modulation(b.within('modulation'), condition, 3) as [Tensor, Tensor, Tensor];
    const inner = silu(linearLayer(b.within('mlp1'), modulate(x, shift, factor)));
    x = add(x, mul(gate, linearLayer(b.within('mlp2'), inner)));
  }
  const [shift, factor] = modulation(p.within('modulation'), condition, 2) as [Tensor, Tensor];
  return reshape(linearLayer(p.within('output'), modulate(x, shift, factor)), xt.shape);
}

/** Cosines and sines of t times the frequencies, through a two-layer MLP: t [rows, 1] -> [rows, W]. */
function timeEmbedding(p: Parameters, t: Tensor): Tensor {
  const frequencies = Float32Array.from({ length: frequencyCount }, (_, i) => Math.exp((Math.log(highestFrequency) * i) / (frequencyCount - 1)));
  const angles = mul(t, t.graph.constant(frequencies, [frequencyCount]));
  return linearLayer(p.within('time2'), silu(linearLayer(p.within('time1'), concat([cos(angles), sin(angles)], -1))));
}

/** Shift, 1 + scale and gate (the first `parts` of them), each [rows, W], from one linear layer whose weight is cut rather than its output. */
function modulation(p: Parameters, condition: Tensor, parts: number): Tensor[] {
  const sizes = new Array<number>(parts).fill(condition.shape[1] ?? 1);
  const weights = split(p.tensor('weight'), sizes, 0);
  const biases = split(p.tensor('bias'), sizes, 0);
  return weights.map((weight, i) => {
    const bias = biases[i];
    return linear(condition, weight, i === 1 && bias ? add(bias, 1) : bias);
  });
}

/** Layer normalisation without parameters, then x * factor + shift. */
function modulate(x: Tensor, shift: Tensor, factor: Tensor): Tensor {
  return add(mul(layerNorm(x, undefined, undefined), factor), shift);
}
