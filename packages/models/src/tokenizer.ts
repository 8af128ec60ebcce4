import { add, cast, div, mul, relu, reshape, sigmoid, transpose, type Tensor } from '@dd2/autodiff';
import { convolutionLayer, transposedConvolutionLayer } from './layers.js';
import type { Grid, TokenizerConfig } from './model-config.js';
import {
  convolutionDefinition,
  normal,
  ones,
  transposedConvolutionDefinition,
  within,
  zeros,
  type NetworkDefinition,
  type ParameterDefinition,
} from './network-definition.js';
import type { Parameters } from './parameters.js';

interface Convolution {
  readonly from: number;
  readonly to: number;
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
}

const width = 64;
const firstWidth = 32;
const halving = (from: number, to: number, padding = 1): Convolution => ({ from, to, size: 4, stride: 2, padding });

/**
 * The 4x4 grid works on 32x32 pixels, the image inside a border of two: zero padding of the first convolution and cropping
 * after the last transposed one are both a padding of 1 + 2.
 */
const border: Record<Grid, number> = { 4: 3, 7: 1 };

function encoder({ grid, dimension }: TokenizerConfig): Convolution[] {
  const toCode = { from: width, to: dimension, size: 1, stride: 1, padding: 0 };
  const inner = grid === 4 ? [halving(firstWidth, width), halving(width, width)] : [halving(firstWidth, width)];
  return [halving(1, firstWidth, border[grid]), ...inner, toCode];
}

/** The first layer is a plain convolution, the others are transposed ones. */
function decoder({ grid, dimension }: TokenizerConfig): Convolution[] {
  const fromCode = { from: dimension, to: width, size: 3, stride: 1, padding: 1 };
  const inner = grid === 4 ? [halving(width, width), halving(width, firstWidth)] : [halving(width, firstWidth)];
  return [fromCode, ...inner, halving(firstWidth, 1, border[grid])];
}

/**
 * The VQ-VAE tokenizer. Its flat vector ends with three buffers that objectives have no gradient for: `codebook` [V, d], and
 * `latent.mean`, `latent.std` [d], the usage-weighted statistics that normalise the latent space.
 */
export function tokenizerNetwork(model: TokenizerConfig): NetworkDefinition {
  const { vocabulary, dimension } = model;
  const decoderLayers = decoder(model).map((c, i) => (i === 0 ? convolutionDefinition : transposedConvolutionDefinition)(c.from, c.to, c.size));
  const buffers: ParameterDefinition[] = [
    { name: 'codebook', shape: [vocabulary, dimension], init: normal(0.1), trainable: false },
    { name: 'latent.mean', shape: [dimension], init: zeros, trainable: false },
    { name: 'latent.std', shape: [dimension], init: ones, trainable: false },
  ];
  return {
    name: 'tokenizer',
    parameters: [
      ...encoder(model).flatMap((c, i) => within(`encoder.${i}`, convolutionDefinition(c.from, c.to, c.size))),
      ...decoderLayers.flatMap((layer, i) => within(`decoder.${i}`, layer)),
      ...buffers,
    ],
  };
}

/** Pixels [B, 1, 28, 28] in [0, 1] -> latents [B, n, d], raster order. */
export function encode(p: Parameters, model: TokenizerConfig, pixels: Tensor): Tensor {
  const layers = encoder(model);
  let x = pixels;
  layers.forEach((layer, i) => {
    x = convolutionLayer(p.within(`encoder.${i}`), x, layer);
    if (i < layers.length - 1) x = relu(x);
  });
  const [batch, dimension, rows, columns] = x.shape as [number, number, number, number];
  return reshape(transpose(x, [0, 2, 3, 1]), [batch, rows * columns, dimension]);
}

/** Latents [B, n, d], not normalised, -> logits of the pixels [B, 1, 28, 28]. */
export function decodeLogits(p: Parameters, model: TokenizerConfig, latents: Tensor): Tensor {
  const [batch, , dimension] = latents.shape as [number, number, number];
  const layers = decoder(model);
  let x = transpose(reshape(latents, [batch, model.grid, model.grid, dimension]), [0, 3, 1, 2]);
  layers.forEach((layer, i) => {
    const apply = i === 0 ? convolutionLayer : transposedConvolutionLayer;
    x = apply(p.within(`decoder.${i}`), x, layer);
    if (i < layers.length - 1) x = relu(x);
  });
  return x;
}

/** Latents [B, n, d] -> pixels [B, 1, 28, 28] in (0, 1). */
export function decode(p: Parameters, model: TokenizerConfig, latents: Tensor): Tensor {
  return sigmoid(decodeLogits(p, model, latents));
}

/** uint8 images [B, 28, 28] -> pixels [B, 1, 28, 28] in [0, 1]. */
export function pixelsFrom(images: Tensor): Tensor {
  const [batch, rows, columns] = images.shape as [number, number, number];
  return reshape(div(cast(images, 'float32'), 255), [batch, 1, rows, columns]);
}

/** Pixels [B, 1, 28, 28] in [0, 1] -> uint8 images [B, 28, 28], round(255 x). */
export function imagesFrom(pixels: Tensor): Tensor {
  const [batch, , rows, columns] = pixels.shape as [number, number, number, number];
  return reshape(cast(add(mul(pixels, 255), 0.5), 'uint8'), [batch, rows, columns]);
}
