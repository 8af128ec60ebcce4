import type { HostTensor } from '@dd2/core';
import { corruptFile, type FileErrors } from './file-errors.js';

/** dtype byte of unsigned 8-bit elements, the only one that MNIST uses */
const UNSIGNED_BYTE = 0x08;

/**
 * Parses the idx format of unsigned bytes: two zero bytes, dtype, rank, then the dimensions as big-endian 32-bit
 * integers, then the elements row-major. The result is a view of `bytes`.
 * @param expected `shape` that the file must declare; `file` is its name in errors
 * @throws {Dd2Error} `errors.corrupt` naming file and field
 */
export function parseIdx(bytes: Uint8Array, { file, shape, errors }: { file: string; shape: readonly number[]; errors: FileErrors }): HostTensor<'uint8'> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = 4 + 4 * shape.length;
  if (bytes.length < headerBytes) throw corruptFile(errors, file, `the file has ${bytes.length} bytes and ends inside its header`, 'header');
  const magic = (UNSIGNED_BYTE << 8) | shape.length;
  if (view.getUint32(0) !== magic) {
    throw corruptFile(errors, file, `the file starts with 0x${view.getUint32(0).toString(16)}, not with 0x${magic.toString(16)} (idx, bytes, rank ${shape.length})`, 'magic');
  }
  shape.forEach((size, axis) => {
    const declared = view.getUint32(4 + 4 * axis);
    if (declared !== size) throw corruptFile(errors, file, `dimension ${axis} is ${declared} instead of ${size}`, 'shape');
  });
  const data = bytes.subarray(headerBytes);
  const elements = shape.reduce((product, size) => product * size, 1);
  if (data.length !== elements) throw corruptFile(errors, file, `${data.length} elements follow the header instead of ${elements}`, 'data');
  return { dtype: 'uint8', shape, data };
}
