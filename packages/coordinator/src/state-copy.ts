/** Vectors of float32 elements in memory that threads share: each in consecutive parts, one for each aggregator thread. */
export type StateCopy = Readonly<Record<string, readonly SharedArrayBuffer[]>>;

/** The bytes of elements [offset, offset + size) of a vector, in place: a part is at most as large as one thread's memory. */
export function* bytesOfRange(parts: readonly SharedArrayBuffer[], offset: number, size: number): Iterable<Uint8Array> {
  let start = 0;
  for (const part of parts) {
    const from = Math.max(offset * 4, start);
    const to = Math.min((offset + size) * 4, start + part.byteLength);
    if (from < to) yield new Uint8Array(part, from - start, to - from);
    start += part.byteLength;
  }
}
