import { Dd2Error, type HostTensor, type ParameterLayout } from '@dd2/core';

/**
 * Copies named tensors into a network's flat parameter vector, float32 [layout.size].
 * @throws {Dd2Error} INVALID_ARGUMENT naming the first tensor that is missing, left over, or of another shape or dtype
 */
export function flatten(layout: ParameterLayout, tensors: Readonly<Record<string, HostTensor>>): Float32Array<ArrayBuffer> {
  const flat = new Float32Array(layout.size);
  for (const slot of layout.tensors) {
    const tensor = Object.hasOwn(tensors, slot.name) ? tensors[slot.name] : undefined;
    if (tensor === undefined) throw mismatch(layout, slot.name, 'is missing');
    const sameShape = tensor.shape.length === slot.shape.length && tensor.shape.every((size, axis) => size === slot.shape[axis]);
    if (tensor.dtype !== 'float32' || !(tensor.data instanceof Float32Array) || !sameShape || tensor.data.length !== slot.size) {
      throw mismatch(layout, slot.name, `is ${tensor.dtype} [${tensor.shape.join(', ')}], expected float32 [${slot.shape.join(', ')}]`);
    }
    flat.set(tensor.data, slot.offset);
  }
  const known = new Set(layout.tensors.map((slot) => slot.name));
  const extra = Object.keys(tensors).find((name) => !known.has(name));
  if (extra !== undefined) throw mismatch(layout, extra, 'is not a parameter of this network');
  return flat;
}

/**
 * The named tensors of a flat parameter vector, as views: writing to one writes to the other.
 * @throws {Dd2Error} INVALID_ARGUMENT when the vector has another size than the layout
 */
export function unflatten(layout: ParameterLayout, flat: Float32Array): Record<string, HostTensor<'float32'>> {
  if (flat.length !== layout.size) {
    throw new Dd2Error('INVALID_ARGUMENT', `a vector of ${flat.length} parameters is not the ${layout.network} of ${layout.size}`, { field: layout.network, remedy });
  }
  return Object.fromEntries(
    layout.tensors.map(({ name, shape, offset, size }) => [name, { dtype: 'float32', shape, data: flat.subarray(offset, offset + size) } as const]),
  );
}

const remedy = 'Use parameters that were made for the same network and model sizes';

function mismatch(layout: ParameterLayout, tensor: string, problem: string): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `the tensor "${tensor}" ${problem}`, { field: `${layout.network}/${tensor}`, remedy });
}
