import { cast, div, less, maxPool2d, mul, relu, reshape, sub, type Tensor } from '@dd2/autodiff';
import { convolutionLayer, linearLayer } from './layers.js';
import { convolutionDefinition, linearDefinition, within, type NetworkDefinition } from './network-definition.js';
import type { Parameters } from './parameters.js';

/** Width of the features whose Frechet distance is taken: the activations before the last layer. */
export const featureSize = 64;

const channels = [1, 16, 32, 64] as const;
/** 28 pixels, halved three times by pooling. */
const pooledSide = 3;
const dropout = 0.3;

/** The feature network: three convolutions (3x3, ReLU, max-pool 2), a hidden layer of 64 and the class logits. */
export function classifierNetwork({ classes }: { readonly classes: number }): NetworkDefinition {
  const [one, first, second, third] = channels;
  return {
    name: 'classifier',
    parameters: [
      ...within('conv1', convolutionDefinition(one, first, 3)),
      ...within('conv2', convolutionDefinition(first, second, 3)),
      ...within('conv3', convolutionDefinition(second, third, 3)),
      ...within('hidden', linearDefinition(third * pooledSide * pooledSide, featureSize)),
      ...within('output', linearDefinition(featureSize, classes)),
    ],
  };
}

/** Pixels [B, 1, 28, 28] in [0, 1] -> features [B, 64]. */
export function features(p: Parameters, pixels: Tensor): Tensor {
  let x = pixels;
  for (const name of ['conv1', 'conv2', 'conv3']) {
    x = maxPool2d(relu(convolutionLayer(p.within(name), x, { stride: 1, padding: 1 })), 2);
  }
  const [batch = 1, ...rest] = x.shape;
  return relu(linearLayer(p.within('hidden'), reshape(x, [batch, rest.reduce((product, size) => product * size, 1)])));
}

/** Features [B, 64] -> class logits [B, classes]. */
export function classLogits(p: Parameters, x: Tensor): Tensor {
  return linearLayer(p.within('output'), x);
}

/** Training only: drops a feature where its uniform draw is below 0.3 and scales the others up. */
export function dropFeatures(x: Tensor, uniform: Tensor): Tensor {
  const keep = sub(1, cast(less(uniform, dropout), 'float32'));
  return mul(x, div(keep, 1 - dropout));
}
