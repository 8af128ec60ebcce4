import { add, equal, lessOrEqual, linear, matmul, mul, reshape, softmax, split, transpose, where, type Tensor } from '@dd2/autodiff';
import { causalMask, masked } from './causal-mask.js';
import { linearLayer } from './layers.js';
import type { Parameters } from './parameters.js';

/** Query, key and value of all heads, each [B, heads, positions, width / heads]; the query is already scaled. */
export interface Heads {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
}

/** How rows are cut: activations are matrices [B * positions, D], because reshapes between layers cost time. */
export interface Sequences {
  readonly batch: number;
  readonly heads: number;
}

/**
 * x [B * positions, D] -> heads. The three projections are rows of one weight `qkv`: cutting the weight is cheaper than cutting
 * activations, and so is scaling the query's part of it by 1 / sqrt(width / heads) instead of the scores.
 */
export function projectHeads(p: Parameters, x: Tensor, { batch, heads }: Sequences): Heads {
  const [rows, width] = x.shape as [number, number];
  const size = width / heads;
  const thirds = [width, width, width];
  const [weightQ, weightK, weightV] = split(p.tensor('qkv.weight'), thirds, 0) as [Tensor, Tensor, Tensor];
  const [biasQ, biasK, biasV] = split(p.tensor('qkv.bias'), thirds, 0) as [Tensor, Tensor, Tensor];
  const project = (weight: Tensor, bias: Tensor): Tensor =>
    transpose(reshape(linear(x, weight, bias), [batch, rows / batch, heads, size]), [0, 2, 1, 3]);
  const scale = size ** -0.5;
  return { query: project(mul(weightQ, scale), mul(biasQ, scale)), key: project(weightK, biasK), value: project(weightV, biasV) };
}

/** Attention of every query to the keys that `mask` (added to the scores) leaves; returns [B * positions, D]. */
export function attend(p: Parameters, { query, key, value }: Heads, mask: Tensor): Tensor {
  const [batch, heads, positions, size] = query.shape as [number, number, number, number];
  const scores = add(matmul(query, transpose(key, [0, 1, 3, 2])), mask);
  const mixed = transpose(matmul(softmax(scores, -1), value), [0, 2, 1, 3]);
  return linearLayer(p.within('output'), reshape(mixed, [batch * positions, heads * size]));
}

/** Causal self-attention over whole sequences: x [B * n, D] -> [B * n, D]. */
export function causalAttention(p: Parameters, x: Tensor, sequences: Sequences): Tensor {
  return attend(p, projectHeads(p, x, sequences), causalMask(x.graph, (x.shape[0] ?? 1) / sequences.batch));
}

/** Keys and values of the positions so far, each [B, heads, n, width / heads]; what lies beyond the current step is not read. */
export interface KeyValueCache {
  readonly key: Tensor;
  readonly value: Tensor;
}

/**
 * Self-attention of one new position: x [B, D], `step` int64 [] its position. Returns the output [B, D] and the cache with
 * this position written.
 */
export function cachedAttention(p: Parameters, x: Tensor, sequences: Sequences, cache: KeyValueCache, step: Tensor): { output: Tensor; cache: KeyValueCache } {
  const graph = x.graph;
  const tokens = cache.key.shape[2] ?? 1;
  const { query, key, value } = projectHeads(p, x, sequences);
  const positions = graph.integers(Array.from({ length: tokens }, (_, i) => i));
  const here = reshape(equal(positions, step), [tokens, 1]);
  const next = { key: where(here, key, cache.key), value: where(here, value, cache.value) };
  const mask = where(lessOrEqual(positions, step), graph.scalar(0), graph.scalar(masked));
  return { output: attend(p, { query, ...next }, mask), cache: next };
}
