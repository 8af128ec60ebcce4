/** Buffers up to this size may belong to Node's shared pool, which must not be transferred; copying them costs nothing. */
const SMALL_BYTES = 16_384;

/**
 * Bytes whose buffer can be given to another thread. The buffer itself when the view makes up most of it; a copy when the
 * view is small, is a minor part of its buffer, or lies in shared memory.
 */
export function transferable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  if (buffer instanceof ArrayBuffer && byteLength > SMALL_BYTES && byteLength * 2 >= buffer.byteLength) {
    return bytes as Uint8Array<ArrayBuffer>;
  }
  return new Uint8Array(bytes);
}
