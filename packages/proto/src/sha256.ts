import { createHash } from 'node:crypto';

/** SHA-256 of the concatenated pieces, lower-case hexadecimal: the id of programs and assets. */
export function sha256(pieces: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}
