import { add, matmul, mul, oneHot, reduceMean, reduceSum, reshape, softplus, square, stopGradient, sub, transpose, type Tensor } from '@dd2/autodiff';
import type { Program } from '@dd2/core';
import { Codebook } from './codebook.js';
import { imageSize, type TokenizerConfig } from './model-config.js';
import { ProgramBuilder } from './program-builder.js';
import { decodeLogits, encode, pixelsFrom, tokenizerNetwork } from './tokenizer.js';

const commitmentWeight = 0.1;

/**
 * The gradient of the VQ-VAE's loss on `rows` training images: binary cross-entropy of the pixels, straight through the nearest code, plus
 * 0.1 times the commitment |z - c|^2. The codebook learns from averages, not gradients: results `codes.count` [V],
 * `codes.sum` [V, d] (of the latents that each code is nearest to) and `latents` [B * n, d] (for restarting unused codes).
 */
export function tokenizerTrainProgram(model: TokenizerConfig, options: { batch: number; rows: number }): Program {
  const { vocabulary, dimension, grid } = model;
  const program = new ProgramBuilder('prepare.tokenizer', options.batch);
  const row = program.integer('row', options.rows);
  const images = program.rows('images', 'train.images', 'uint8', [imageSize, imageSize], row);
  program.stage('reconstruction', (stage) => {
    const tokenizer = stage.parameters(tokenizerNetwork(model));
    const pixels = pixelsFrom(stage.value(images));
    const latents = encode(tokenizer, model, pixels);
    const codebook = Codebook.raw(tokenizer);
    const tokens = codebook.nearest(stopGradient(latents));
    const codes = stopGradient(codebook.lookUp(tokens));
    const reconstruction = binaryCrossEntropy(decodeLogits(tokenizer, model, add(latents, stopGradient(sub(codes, latents)))), pixels);
    const commitment = reduceMean(square(sub(latents, codes)));
    const loss = add(reconstruction, mul(commitment, commitmentWeight));
    stage.gradient(loss, tokenizer);
    program.metric('loss', stage.fetch('loss', loss));
    program.metric('reconstruction', stage.fetch('reconstruction', reconstruction));
    program.metric('commitment', stage.fetch('commitment', commitment));

    const rows = options.batch * grid * grid;
    const flat = reshape(latents, [rows, dimension]);
    const assigned = oneHot(reshape(tokens, [rows]), vocabulary);
    program.result('codes.count', stage.fetch('codes.count', reduceSum(assigned, [0])));
    program.result('codes.sum', stage.fetch('codes.sum', matmul(transpose(assigned, [1, 0]), flat)));
    program.result('latents', stage.fetch('latents', flat));
  });
  return program.build();
}

/** Tokens int64 [B, n] of images; row = sample index. */
export function encodeProgram(model: TokenizerConfig, options: { batch: number; split: 'train' | 'test' }): Program {
  const program = new ProgramBuilder(`encode.${options.split}`, options.batch);
  const row = program.index('row');
  const images = program.rows('images', `${options.split}.images`, 'uint8', [imageSize, imageSize], row);
  program.stage('encode', (stage) => {
    const tokenizer = stage.parameters(tokenizerNetwork(model));
    const latents = encode(tokenizer, model, pixelsFrom(stage.value(images)));
    program.result('tokens', stage.fetch('tokens', Codebook.raw(tokenizer).nearest(latents)));
  });
  return program.build();
}

/** Mean over pixels of -y log s(x) - (1 - y) log(1 - s(x)) = softplus(x) - x y, for logits x. */
function binaryCrossEntropy(logits: Tensor, y: Tensor): Tensor {
  return reduceMean(sub(softplus(logits), mul(logits, y)));
}
