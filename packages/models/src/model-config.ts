import { Dd2Error } from '@dd2/core';

/** Sizes of tokenizer latents, teacher and AR-diffusion network. */
export interface ModelConfig {
  /** n, tokens of one image in raster order: grid * grid */
  readonly tokens: number;
  /** d, dimension of a code */
  readonly dimension: number;
  /** V, codes in the codebook */
  readonly vocabulary: number;
  readonly classes: number;
  /** D, residual width of the transformers */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** width of the diffusion head's MLP */
  readonly headWidth: number;
  /** AdaLN residual blocks of the diffusion head */
  readonly headBlocks: number;
  /** tokens along one side of an image */
  readonly grid: Grid;
}

/** 4: three stride-2 convolutions on 32x32 pixels; 7: two on 28x28. */
export type Grid = 4 | 7;

export type TokenizerConfig = Pick<ModelConfig, 'vocabulary' | 'dimension' | 'grid'>;

/** Sides of the square images, in pixels. */
export const imageSize = 28;

/** @throws {Dd2Error} INVALID_ARGUMENT when sizes contradict each other */
export function requireConsistent(model: ModelConfig): void {
  if (model.tokens !== model.grid * model.grid) {
    throw new Dd2Error('INVALID_ARGUMENT', `${model.tokens} tokens do not form a ${model.grid}x${model.grid} grid`, {
      field: 'tokens',
      remedy: 'tokens is grid * grid',
    });
  }
  if (model.width % model.heads !== 0) {
    throw new Dd2Error('INVALID_ARGUMENT', `a width of ${model.width} cannot be cut into ${model.heads} heads`, {
      field: 'heads',
      remedy: 'Choose a divisor of width',
    });
  }
}
