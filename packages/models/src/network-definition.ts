import { Dd2Error, fillNormal, fillUniform, type ParameterLayout, type TensorSlot } from '@dd2/core';

/** How a tensor's initial values are drawn. */
export type Initializer =
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'normal'; readonly deviation: number }
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' };

export interface ParameterDefinition {
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initializer;
  /** false for a buffer: it lives in the flat vector, but objectives have no gradient for it */
  readonly trainable?: boolean;
}

/** A network is a name and its tensors in the order of its flat vector. */
export interface NetworkDefinition {
  readonly name: string;
  readonly parameters: readonly ParameterDefinition[];
}

export const zeros: Initializer = { kind: 'zeros' };
export const ones: Initializer = { kind: 'ones' };
export const normal = (deviation: number): Initializer => ({ kind: 'normal', deviation });

/** U(-1/sqrt(fanIn), 1/sqrt(fanIn)): what PyTorch gives weights and biases of linear and convolution layers. */
const byFanIn = (fanIn: number): Initializer => ({ kind: 'uniform', bound: 1 / Math.sqrt(fanIn) });

/** Prefixes the names of definitions: the counterpart of `Parameters.within`. */
export function within(prefix: string, parameters: readonly ParameterDefinition[]): ParameterDefinition[] {
  return parameters.map((parameter) => ({ ...parameter, name: `${prefix}.${parameter.name}` }));
}

/** weight [to, from] and bias [to]. */
export function linearDefinition(from: number, to: number, init: Initializer = byFanIn(from)): ParameterDefinition[] {
  return [
    { name: 'weight', shape: [to, from], init },
    { name: 'bias', shape: [to], init },
  ];
}

/** weight [to, from, size, size] and bias [to]. */
export function convolutionDefinition(from: number, to: number, size: number): ParameterDefinition[] {
  const init = byFanIn(from * size * size);
  return [
    { name: 'weight', shape: [to, from, size, size], init },
    { name: 'bias', shape: [to], init },
  ];
}

/** weight [from, to, size, size] and bias [to]. PyTorch takes the second dimension of the weight for its fan-in. */
export function transposedConvolutionDefinition(from: number, to: number, size: number): ParameterDefinition[] {
  const init = byFanIn(to * size * size);
  return [
    { name: 'weight', shape: [from, to, size, size], init },
    { name: 'bias', shape: [to], init },
  ];
}

/** weight [width] and bias [width]. */
export function normDefinition(width: number): ParameterDefinition[] {
  return [
    { name: 'weight', shape: [width], init: ones },
    { name: 'bias', shape: [width], init: zeros },
  ];
}

/** Places the tensors one after the other, in the order of the definition. */
export function layoutOf(definition: NetworkDefinition): ParameterLayout {
  let offset = 0;
  const tensors = definition.parameters.map(({ name, shape }): TensorSlot => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const slot = { name, shape, offset, size };
    offset += size;
    return slot;
  });
  return { network: definition.name, size: offset, tensors };
}

/** @throws {Dd2Error} INVALID_ARGUMENT when the network has no such tensor */
export function slotOf(layout: ParameterLayout, tensor: string): TensorSlot {
  const slot = layout.tensors.find(({ name }) => name === tensor);
  if (slot) return slot;
  throw new Dd2Error('INVALID_ARGUMENT', `the network ${layout.network} has no tensor "${tensor}"`, {
    field: tensor,
    remedy: `Its tensors are ${layout.tensors.map(({ name }) => name).join(', ')}`,
  });
}

/** Draws a flat parameter vector. Every tensor has a random stream of its own: adding a tensor changes no other one. */
export function initialize(definition: NetworkDefinition, seed: number): Float32Array {
  const layout = layoutOf(definition);
  const flat = new Float32Array(layout.size);
  for (const { name, init } of definition.parameters) {
    const { offset, size } = slotOf(layout, name);
    const values = flat.subarray(offset, offset + size);
    const at = { seed, update: 0, stream: `initialize/${definition.name}/${name}` };
    switch (init.kind) {
      case 'zeros':
        break;
      case 'ones':
        values.fill(1);
        break;
      case 'normal':
        fillNormal(values, at, [0]);
        for (let i = 0; i < size; i++) values[i] = (values[i] ?? 0) * init.deviation;
        break;
      case 'uniform':
        fillUniform(values, at, [0]);
        for (let i = 0; i < size; i++) values[i] = ((values[i] ?? 0) * 2 - 1) * init.bound;
        break;
    }
  }
  return flat;
}
