import { Dd2Error, typedArrays, type DType, type HostTensor } from '@dd2/core';
import { Tensor } from 'onnxruntime-node';

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function zeros(dtype: DType, shape: readonly number[]): HostTensor {
  return { dtype, shape, data: new typedArrays[dtype](sizeOf(shape)) };
}

/** A runtime tensor over the same memory: feeds are read in place. */
export function toOrt({ dtype, shape, data }: HostTensor): Tensor {
  return new Tensor(dtype, data, shape);
}

/** A host tensor over the same memory. @throws Dd2Error UNSUPPORTED_OPERATION for element types that programs do not have */
export function toHost(tensor: Tensor): HostTensor {
  const { type, dims, data } = tensor;
  if (!(type in typedArrays)) throw new Dd2Error('UNSUPPORTED_OPERATION', `Results of element type ${type} are not supported`);
  return { dtype: type as DType, shape: dims, data: data as HostTensor['data'] };
}

/** The bytes of a tensor's elements, in place. */
export function bytesOf({ data }: HostTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export function describe({ dtype, shape }: Pick<HostTensor, 'dtype' | 'shape'>): string {
  return `${dtype} [${shape.join(', ')}]`;
}

export function sameType(a: Pick<HostTensor, 'dtype' | 'shape'>, b: Pick<HostTensor, 'dtype' | 'shape'>): boolean {
  return a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);
}
