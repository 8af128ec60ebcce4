import { Dd2Error } from './errors.js';

/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * A draw is a pure function of (run seed, update, sample, stream, element), so it does not matter who computes it,
 * in which order, or together with which other samples.
 */

/** What the draws of one program input share; the rows add the sample index. */
export interface DrawKey {
  /** run seed, an integer in [0, 2^64) that a double represents */
  readonly seed: number;
  /** update of the run; 0 for draws that are addressed by index alone */
  readonly update: number;
  readonly stream: string;
}

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9 | 0;
const WEYL_1 = 0xbb67ae85 | 0;
const ROUNDS = 10;
const UINT32 = 2 ** 32;

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit integers, from four 16-bit products. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // Each partial sum is at most 2^32 - 2^16, so none overflows an unsigned 32-bit integer.
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const carry = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (carry >>> 16)) | 0;
}

/** One Philox4x32-10 block into `words[start]`, ..., `words[start + 3]`; counter and key count modulo 2^32. */
function writeBlock(words: Uint32Array, start: number, block: number, sample: number, update: number, stream: number, keyLow: number, keyHigh: number): void {
  let c0 = block | 0;
  let c1 = sample | 0;
  let c2 = update | 0;
  let c3 = stream | 0;
  let k0 = keyLow | 0;
  let k1 = keyHigh | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  words[start] = c0;
  words[start + 1] = c1;
  words[start + 2] = c2;
  words[start + 3] = c3;
}

/** The four 32-bit words of one block. `counter` holds 4 and `key` 2 unsigned 32-bit integers. */
export function philox4x32(counter: ArrayLike<number>, key: ArrayLike<number>): Uint32Array {
  const words = new Uint32Array(4);
  writeBlock(words, 0, counter[0] ?? 0, counter[1] ?? 0, counter[2] ?? 0, counter[3] ?? 0, key[0] ?? 0, key[1] ?? 0);
  return words;
}

/** FNV-1a (32 bits) of the UTF-8 bytes of a stream's name: the last word of the counter. */
export function streamId(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * Standard normal draws, float32 [samples.length, row]; row r comes from `samples[r]`. Box-Muller in float64: of each
 * pair of words the first gives the radius, the second the angle.
 * @throws {Dd2Error} INVALID_ARGUMENT
 */
export function fillNormal(out: Float32Array, at: DrawKey, samples: ArrayLike<number>): void {
  const { words, rowSize, draw } = openRows(out, at, samples);
  for (let start = 0; start < out.length; start += rowSize) {
    draw(start / rowSize);
    for (let i = 0; i < rowSize; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(((words[i] ?? 0) + 0.5) / UINT32));
      const angle = ((2 * Math.PI) / UINT32) * ((words[i + 1] ?? 0) + 0.5);
      out[start + i] = radius * Math.cos(angle);
      if (i + 1 < rowSize) out[start + i + 1] = radius * Math.sin(angle);
    }
  }
}

/** Uniform draws in the open interval (0, 1), multiples of 2^-24, float32 [samples.length, row]. @throws {Dd2Error} INVALID_ARGUMENT */
export function fillUniform(out: Float32Array, at: DrawKey, samples: ArrayLike<number>): void {
  const { words, rowSize, draw } = openRows(out, at, samples);
  for (let start = 0; start < out.length; start += rowSize) {
    draw(start / rowSize);
    // 23 bits and a half: exact in float32, never 0 and never rounded up to 1
    for (let i = 0; i < rowSize; i++) out[start + i] = (((words[i] ?? 0) >>> 9) + 0.5) * 2 ** -23;
  }
}

/** Uniform integers in [0, below), int64 [samples.length, row]; `below` is at most 2^32 - 1. @throws {Dd2Error} INVALID_ARGUMENT */
export function fillInteger(out: BigInt64Array, below: number, at: DrawKey, samples: ArrayLike<number>): void {
  if (!Number.isInteger(below) || below < 1 || below >= UINT32) {
    throw new Dd2Error('INVALID_ARGUMENT', `integers below ${below} cannot be drawn`, { field: at.stream, remedy: 'Use an integer from 1 to 2^32 - 1' });
  }
  const { words, rowSize, draw } = openRows(out, at, samples);
  for (let start = 0; start < out.length; start += rowSize) {
    draw(start / rowSize);
    for (let i = 0; i < rowSize; i++) out[start + i] = BigInt(multiplyHigh(words[i] ?? 0, below) >>> 0);
  }
}

/** Checks the arguments of a fill; `draw(row)` then fills `words` with the random words of that row, one per element. */
function openRows(out: ArrayLike<unknown>, at: DrawKey, samples: ArrayLike<number>): { words: Uint32Array; rowSize: number; draw: (row: number) => void } {
  const rows = samples.length;
  if (rows === 0 ? out.length > 0 : out.length % rows !== 0) {
    throw new Dd2Error('INVALID_ARGUMENT', `${out.length} elements are not ${rows} rows of equal size`, { field: at.stream });
  }
  requireInteger(at.seed, UINT32 * UINT32, 'seed', at.stream);
  requireInteger(at.update, UINT32, 'update', at.stream);
  for (let row = 0; row < rows; row++) requireInteger(samples[row] ?? -1, UINT32, 'sample', at.stream);
  const stream = streamId(at.stream);
  const keyHigh = Math.floor(at.seed / UINT32);
  const rowSize = rows === 0 ? 0 : out.length / rows;
  const blocks = Math.ceil(rowSize / 4);
  const words = new Uint32Array(4 * blocks);
  const draw = (row: number): void => {
    const sample = samples[row] ?? 0;
    for (let block = 0; block < blocks; block++) writeBlock(words, 4 * block, block, sample, at.update, stream, at.seed, keyHigh);
  };
  return { words, rowSize, draw };
}

function requireInteger(value: number, below: number, name: string, stream: string): void {
  if (Number.isInteger(value) && value >= 0 && value < below) return;
  throw new Dd2Error('INVALID_ARGUMENT', `${name} ${value} does not fit the random counter of stream "${stream}"`, {
    field: name,
    remedy: `Use an integer from 0 to 2^${Math.log2(below)} - 1`,
  });
}
