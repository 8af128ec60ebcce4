import type { Tensor } from '../tensor.js';
import { add, div, maximum, minimum, mul, neg, sub, where } from './arithmetic.js';
import { conv2d, convTranspose2d, maxPool2d } from './convolution.js';
import { abs, cast, clip, cos, erf, exp, gelu, log, pow, relu, sigmoid, silu, sin, softplus, sqrt, square, tanh } from './elementwise.js';
import { crossEntropy } from './cross-entropy.js';
import { embedding, gather, oneHot, scatter } from './indexing.js';
import { linear, matmul } from './matrix.js';
import { layerNorm, logSoftmax, softmax } from './normalization.js';
import { reduceMax, reduceMean, reduceSum } from './reduction.js';
import { concat, expand, pad, reshape, slice, split, transpose } from './shape.js';
import { stopGradient } from './stop-gradient.js';

/** Test support: builds the cases of fixtures/make.py, by name. */
export const gradientCases: Readonly<Record<string, (...inputs: Tensor[]) => Tensor>> = build({
  add: (a, b) => add(a, b),
  addNumber: (a) => add(2.5, a),
  sub: (a, b) => sub(a, b),
  mul: (a, b) => mul(a, b),
  mulSelf: (a) => mul(mul(a, a), 3),
  div: (a, b) => div(a, b),
  divNumber: (a) => div(2, a),
  neg: (a) => neg(a),
  maximum: (a, b) => maximum(a, b),
  minimum: (a, b) => minimum(a, b),
  maximumTies: (a, b) => maximum(a, b),
  minimumTies: (a, b) => minimum(a, b),
  where: (c, a, b) => where(c, a, b),
  exp: (a) => exp(a),
  log: (a) => log(a),
  sqrt: (a) => sqrt(a),
  abs: (a) => abs(a),
  pow3: (a) => pow(a, 3),
  powFraction: (a) => pow(a, -1.5),
  powHalf: (a) => pow(a, 0.5),
  powInverse: (a) => pow(a, -1),
  square: (a) => square(a),
  tanh: (a) => tanh(a),
  sigmoid: (a) => sigmoid(a),
  relu: (a) => relu(a),
  reluAtZero: (a) => relu(a),
  erf: (a) => erf(a),
  cos: (a) => cos(a),
  sin: (a) => sin(a),
  softplus: (a) => softplus(a),
  silu: (a) => silu(a),
  gelu: (a) => gelu(a),
  clip: (a) => clip(a, -1, 1),
  clipAtBounds: (a) => clip(a, -1, 1),
  castToDouble: (a) => square(cast(a, 'float64')),
  matmul: (a, b) => matmul(a, b),
  matmulBatch: (a, b) => matmul(a, b),
  matmulBroadcast: (a, b) => matmul(a, b),
  matmulRightMatrix: (a, b) => matmul(a, b),
  matmulLeftMatrix: (a, b) => matmul(a, b),
  linear: (x, w, b) => linear(x, w, b),
  linearNoBias: (x, w) => linear(x, w),
  linearChain: (x, v, w) => linear(tanh(linear(x, v)), w),
  reduceSum: (a) => reduceSum(a, [0, 2]),
  reduceSumKeep: (a) => reduceSum(square(a), [1], true),
  reduceSumAll: (a) => reduceSum(square(a)),
  reduceMean: (a) => reduceMean(square(a), [1]),
  reduceMeanAll: (a) => reduceMean(tanh(a)),
  reduceMax: (a) => reduceMax(a, [1, 2]),
  reduceMaxTies: (a) => reduceMax(a, [-1], true),
  meanThenCentre: (a) => square(sub(a, reduceMean(a, [-1], true))),
  reshape: (a) => reshape(a, [3, -1]),
  transpose: (a) => transpose(a, [2, 0, 1]),
  expand: (a) => expand(a, [2, 3, 4]),
  slice: (a) => slice(a, 1, 1, -1),
  concat: (a, b, c) => concat([a, b, c], 1),
  split: (a) => {
    const [first, , last] = split(a, [2, 2, 2], 1);
    return mul(first ?? a, last ?? a);
  },
  pad: (a) => pad(a, [0, 2, 1, 0], 1.5),
  gatherRows: (a, i) => gather(a, i),
  gatherAxis: (a, i) => gather(a, i, 1),
  embedding: (a, i) => embedding(a, i),
  scatter: (a, i) => scatter(i, square(a), 4),
  oneHot: (a, i) => reduceSum(mul(a, oneHot(i, 5)), [-1]),
  softmax: (a) => softmax(a),
  softmaxAxis: (a) => softmax(a, 1),
  logSoftmax: (a) => logSoftmax(a),
  logSoftmaxFused: (a) => logSoftmax(a, -1, { fused: true }),
  layerNorm: (x, s, b) => layerNorm(x, s, b),
  layerNormScale: (x, s) => layerNorm(x, s, undefined, 1e-6),
  layerNormPlain: (x) => layerNorm(x, undefined, undefined),
  conv: (x, w, b) => conv2d(x, w, b, { padding: 1 }),
  convStride: (x, w, b) => conv2d(x, w, b, { stride: 2, padding: 1 }),
  convStrideRest: (x, w) => conv2d(x, w, undefined, { stride: 3 }),
  convPoint: (x, w, b) => conv2d(x, w, b),
  convTranspose: (x, w, b) => convTranspose2d(x, w, b, { stride: 2, padding: 1 }),
  convTransposeUnit: (x, w) => convTranspose2d(x, w, undefined, { padding: 1 }),
  convSingle: (x, w, b) => conv2d(x, w, b, { padding: 1 }),
  maxPool: (x) => maxPool2d(x, 2),
  maxPoolRest: (x) => maxPool2d(x, 2),
  maxPoolTies: (x) => maxPool2d(x, 3),
  stopGradient: (a) => add(mul(a, stopGradient(a)), stopGradient(a)),
  crossEntropy: (a, i) => neg(reduceMean(reduceSum(mul(logSoftmax(a), oneHot(i, 5)), [-1]))),
  crossEntropyRows: (a, i) => crossEntropy(a, i),
  attention: (x, visible) => {
    const [q, k, v] = split(x, [4, 4, 4], -1).map((part) => transpose(reshape(part, [2, 4, 2, 2]), [0, 2, 1, 3]));
    if (q === undefined || k === undefined || v === undefined) return x;
    const scores = where(visible, div(matmul(q, transpose(k, [0, 1, 3, 2])), Math.SQRT2), -1e9);
    return reshape(transpose(matmul(softmax(scores), v), [0, 2, 1, 3]), [2, 4, 4]);
  },
  residualBlock: (x, s, b, up, down) => add(x, linear(tanh(linear(layerNorm(x, s, b), up)), down)),
});

/** Where the loss has a kink at the case's inputs (or treats a value as constant), differences say nothing. */
export const notDifferentiable: ReadonlySet<string> = new Set([
  'maximumTies',
  'minimumTies',
  'reluAtZero',
  'clipAtBounds',
  'reduceMaxTies',
  'maxPoolTies',
  'stopGradient',
]);

type Take5 = (a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) => Tensor;

/** Lets each case name as many inputs as it has. */
function build(cases: Record<string, Take5>): Record<string, (...inputs: Tensor[]) => Tensor> {
  return cases;
}
