import { endianness } from 'node:os';
import { Dd2Error, type DType, type HostTensor, type TypedArrayOf } from '@dd2/core';
import { elementTypes, fromDataType } from './data-type.js';
import { sha256 } from './sha256.js';

/**
 * A tensor as bytes, the form in which assets are stored, hashed and sent:
 * "DD2T", version u8, element type u8 (as DataType), rank u8, 0, `rank` dimensions as u64, elements.
 * All little-endian. The elements start at a multiple of 8 bytes, so that a decoded tensor is a view of the bytes.
 */
const MAGIC = 0x54324444; // "DD2T" read as u32
const VERSION = 1;
const MAX_RANK = 8;

export interface TensorLimits {
  /** larger tensors are refused; none by default */
  readonly maxBytes?: number | undefined;
}

/**
 * The pieces [header, elements]; the elements are a view of the tensor's memory.
 * @throws {Dd2Error} INVALID_ARGUMENT when data and shape do not agree
 */
export function encodeTensor(tensor: HostTensor): [Uint8Array, Uint8Array] {
  const { dtype, shape } = tensor;
  const data = tensorBytes(tensor);
  const header = new Uint8Array(8 + 8 * shape.length);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, VERSION);
  view.setUint8(5, elementTypes[dtype].wire);
  view.setUint8(6, shape.length);
  shape.forEach((dimension, axis) => view.setBigUint64(8 + 8 * axis, BigInt(dimension), true));
  return [header, data];
}

/**
 * The inverse: a view of `bytes` where its alignment allows it, otherwise a copy.
 * @throws {Dd2Error} PROTOCOL when the bytes are not one tensor
 */
export function decodeTensor(bytes: Uint8Array, limits: TensorLimits = {}): HostTensor {
  if (bytes.length > (limits.maxBytes ?? Infinity)) throw malformed(`it has ${bytes.length} bytes, more than the allowed ${limits.maxBytes}`);
  if (bytes.length < 8) throw malformed('it is truncated');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw malformed('it does not start with DD2T');
  if (view.getUint8(4) !== VERSION) throw malformed(`its format has version ${view.getUint8(4)}`);
  const dtype = fromDataType(view.getUint8(5));
  const rank = view.getUint8(6);
  if (view.getUint8(7) !== 0) throw malformed('its header is not canonical');
  const start = 8 + 8 * rank;
  if (bytes.length < start) throw malformed('it is truncated');
  const shape = Array.from({ length: rank }, (_, axis) => Number(view.getBigUint64(8 + 8 * axis, true)));
  return tensorFromBytes(dtype, shape, bytes.subarray(start));
}

/** The id of an asset: SHA-256 of the encoded tensor. */
export function tensorId(tensor: HostTensor): string {
  return sha256(encodeTensor(tensor));
}

/** The elements of a tensor as little-endian bytes, a view. @throws {Dd2Error} INVALID_ARGUMENT */
export function tensorBytes({ dtype, shape, data }: HostTensor): Uint8Array {
  const problem = shapeProblem(dtype, shape, data.byteLength);
  if (problem !== undefined) throw new Dd2Error('INVALID_ARGUMENT', `a tensor cannot be encoded: ${problem}`, { field: 'shape' });
  requireLittleEndian();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A tensor from its elements as little-endian bytes: a view where the alignment allows it. @throws {Dd2Error} PROTOCOL */
export function tensorFromBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): HostTensor {
  const problem = shapeProblem(dtype, shape, bytes.length);
  if (problem !== undefined) throw malformed(problem);
  requireLittleEndian();
  return { dtype, shape, data: elements(dtype, bytes) };
}

function elements(dtype: DType, bytes: Uint8Array): TypedArrayOf[DType] {
  const size = elementTypes[dtype].bytes;
  const aligned = bytes.byteOffset % size === 0 ? bytes : Uint8Array.from(bytes);
  const { buffer, byteOffset } = aligned;
  const length = aligned.length / size;
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'float64':
      return new Float64Array(buffer, byteOffset, length);
    case 'int32':
      return new Int32Array(buffer, byteOffset, length);
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, length);
    case 'uint8':
      return new Uint8Array(buffer, byteOffset, length);
    case 'bool':
      if (aligned.some((value) => value > 1)) throw malformed('a bool is neither 0 nor 1');
      return new Uint8Array(buffer, byteOffset, length);
  }
}

function shapeProblem(dtype: DType, shape: readonly number[], bytes: number): string | undefined {
  if (shape.length > MAX_RANK) return `it has ${shape.length} dimensions, at most ${MAX_RANK} are allowed`;
  if (shape.some((dimension) => !Number.isSafeInteger(dimension) || dimension < 0)) return `its shape [${shape.join(', ')}] is not one of a tensor`;
  const expected = shape.reduce((product, dimension) => product * dimension, elementTypes[dtype].bytes);
  return expected === bytes ? undefined : `its shape [${shape.join(', ')}] in ${dtype} has ${expected} bytes, its data ${bytes}`;
}

function requireLittleEndian(): void {
  if (endianness() !== 'LE') throw new Dd2Error('PROVIDER_UNAVAILABLE', 'this processor is big-endian', { remedy: 'Use a little-endian machine' });
}

function malformed(why: string): Dd2Error {
  return new Dd2Error('PROTOCOL', `a tensor is malformed: ${why}`);
}
