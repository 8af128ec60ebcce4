import type { HostTensor, OptimizerSpec } from '@dd2/core';
import type { Engine } from '@dd2/engine';
import { encodeProgram, initialize, layoutOf, slotOf, tokenizerNetwork, tokenizerTrainProgram, type TokenizerConfig } from '@dd2/models';
import { CodebookAverage } from './codebook-average.js';
import { publish, trainLocally } from './local-trainer.js';
import { forEachBatch, tensor } from './measure.js';
import { StepProgress, type Report } from './progress.js';

const batch = 128;
const encodeBatch = 500;
/**
 * While the encoder finds its scale it nearly collapses, and the codes that no latent chooses then lie idle for hundreds of
 * steps; so the codebook is taken from the data again every few steps of that time.
 */
const settlingSteps = 150;
const settlingInterval = 10;

const optimizer: OptimizerSpec = {
  learningRate: 2e-3,
  betas: [0.9, 0.99],
  epsilon: 1e-8,
  weightDecay: 0,
  clip: 0,
  warmup: 0,
  decay: 'cosine',
  floor: 0.02,
};

export interface TokenizerOptions {
  readonly model: TokenizerConfig;
  /** images of `train.images` and `test.images`, multiples of 500 */
  readonly rows: { readonly train: number; readonly test: number };
  readonly epochs: number;
  readonly seed: number;
}

export interface TrainedTokenizer {
  readonly parameters: Float32Array;
  /** [N, n] of both splits */
  readonly tokens: { readonly train: HostTensor<'int64'>; readonly test: HostTensor<'int64'> };
  /** exp of the entropy of the codes' use over the training images */
  readonly perplexity: number;
}

/** Trains the VQ-VAE, encodes both splits, and writes the normalisation of the latent space into the parameters. */
export async function trainTokenizer(engine: Engine, options: TokenizerOptions, report: Report): Promise<TrainedTokenizer> {
  const { model, rows, epochs, seed } = options;
  const definition = tokenizerNetwork(model);
  const layout = layoutOf(definition);
  const part = (parameters: Float32Array, name: string): Float32Array => {
    const { offset, size } = slotOf(layout, name);
    return parameters.subarray(offset, offset + size);
  };
  const steps = Math.floor((epochs * rows.train) / batch);
  const progress = new StepProgress('tokenizer', steps, report);
  const average = new CodebookAverage(model.vocabulary, model.dimension, seed);
  const parameters = await trainLocally(engine, {
    program: tokenizerTrainProgram(model, { batch, rows: rows.train }),
    initial: initialize(definition, seed),
    steps,
    seed,
    optimizer,
    afterStep: async ({ step, metrics, results, parameters: current, again }) => {
      const codebook = part(current, 'codebook');
      const latents = (values: typeof results): Float32Array => tensor(values, 'latents', 'float32').data;
      // The latents of the step itself are no use: one step of a young encoder moves them all, and most codes would be missed.
      if (step < settlingSteps && step % settlingInterval === 0) average.startFrom(step, latents(await again()), codebook);
      else average.update(step, tensor(results, 'codes.count', 'float32').data, tensor(results, 'codes.sum', 'float32').data, latents(results), codebook);
      progress.step(step, { loss: metrics.loss ?? NaN, commitment: metrics.commitment ?? NaN });
    },
  });

  publish(engine, layout.network, parameters);
  const train = await encode(engine, model, 'train', rows.train);
  const test = await encode(engine, model, 'test', rows.test);
  const use = countCodes(train.data, model.vocabulary);
  normalise(use, part(parameters, 'codebook'), part(parameters, 'latent.mean'), part(parameters, 'latent.std'));
  return { parameters, tokens: { train, test }, perplexity: perplexity(use) };
}

async function encode(engine: Engine, model: TokenizerConfig, split: 'train' | 'test', rows: number): Promise<HostTensor<'int64'>> {
  const n = model.grid * model.grid;
  const data = new BigInt64Array(rows * n);
  let filled = 0;
  await forEachBatch(engine, encodeProgram(model, { batch: encodeBatch, split }), rows, 0, (results) => {
    const tokens = tensor(results, 'tokens', 'int64').data;
    data.set(tokens, filled);
    filled += tokens.length;
  });
  return { dtype: 'int64', shape: [rows, n], data };
}

/** How often each code was chosen, [V]. */
export function countCodes(tokens: BigInt64Array, vocabulary: number): Float64Array {
  const counts = new Float64Array(vocabulary);
  for (const token of tokens) counts[Number(token)] = (counts[Number(token)] ?? 0) + 1;
  return counts;
}

/** exp(entropy) of the relative use [V]. */
export function perplexity(use: Float64Array): number {
  const total = use.reduce((sum, count) => sum + count, 0);
  return Math.exp(-use.reduce((sum, count) => (count > 0 ? sum + (count / total) * Math.log(count / total) : sum), 0));
}

/** Mean and unbiased standard deviation per dimension of the codes [V, d], weighted by their use [V]. */
export function normalise(use: Float64Array, codebook: Float32Array, mean: Float32Array, deviation: Float32Array): void {
  const d = mean.length;
  const total = use.reduce((sum, count) => sum + count, 0);
  for (let j = 0; j < d; j++) {
    const code = (index: number): number => codebook[index * d + j] ?? 0;
    const center = use.reduce((sum, count, index) => sum + count * code(index), 0) / total;
    const spread = use.reduce((sum, count, index) => sum + count * (code(index) - center) ** 2, 0) / (total - 1);
    mean[j] = center;
    deviation[j] = Math.sqrt(spread);
  }
}
