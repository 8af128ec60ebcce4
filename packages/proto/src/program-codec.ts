import { Dd2Error, type ErrorCode, type Program, type ProgramSignature } from '@dd2/core';
import { programSignatureSchema, signatureProblem } from './program-signature.js';
import { sha256 } from './sha256.js';

/**
 * A program as bytes, the form in which it is hashed and sent:
 * "DD2P", version u32, then length u64 + signature (JSON in UTF-8, keys sorted), number of graphs u64,
 * and for each graph length u64 + ONNX bytes. All little-endian. Equal programs have equal bytes, hence equal ids.
 */
const MAGIC = 0x50324444; // "DD2P" read as u32
const VERSION = 1;
const MAX_GRAPHS = 1_024;

export interface ProgramLimits {
  readonly maxBytes?: number | undefined;
  readonly maxSignatureBytes?: number | undefined;
}

/** Weights do not live in graphs, so that even large models' programs stay far below. */
export const MAX_PROGRAM_BYTES = 1024 ** 3;
const MAX_SIGNATURE_BYTES = 16 * 1024 ** 2;

/**
 * The pieces of the encoded program; graphs are not copied.
 * @throws {Dd2Error} INVALID_ARGUMENT when the program is inconsistent
 */
export function encodeProgram(program: Program): Uint8Array[] {
  const signature = Buffer.from(canonicalJson(checkedSignature(program.signature, program.graphs.length, 'INVALID_ARGUMENT')));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(VERSION, 4);
  return [head, u64(signature.length), signature, u64(program.graphs.length), ...program.graphs.flatMap((graph) => [u64(graph.length), graph])];
}

/**
 * The inverse; graphs are views of `bytes`.
 * @throws {Dd2Error} PROTOCOL when the bytes are not one valid program
 */
export function decodeProgram(bytes: Uint8Array, limits: ProgramLimits = {}): Program {
  const maxBytes = limits.maxBytes ?? MAX_PROGRAM_BYTES;
  if (bytes.length > maxBytes) throw malformed('PROTOCOL', `it has ${bytes.length} bytes, more than the allowed ${maxBytes}`);
  const reader = new Reader(bytes);
  if (reader.u32() !== MAGIC) throw malformed('PROTOCOL', 'it does not start with DD2P');
  const version = reader.u32();
  if (version !== VERSION) throw malformed('PROTOCOL', `its format has version ${version}`);
  const signatureBytes = reader.view(limits.maxSignatureBytes ?? MAX_SIGNATURE_BYTES);
  const count = reader.u64();
  if (count > MAX_GRAPHS) throw malformed('PROTOCOL', `it has ${count} graphs`);
  const graphs = Array.from({ length: count }, () => reader.view(maxBytes));
  if (!reader.done) throw malformed('PROTOCOL', 'something follows its last graph');
  return { signature: checkedSignature(parseJson(signatureBytes), count, 'PROTOCOL'), graphs };
}

/** SHA-256 of the encoded program, lower-case hexadecimal. @throws {Dd2Error} as `encodeProgram` */
export function programId(program: Program): string {
  return sha256(encodeProgram(program));
}

function checkedSignature(value: unknown, graphs: number, code: ErrorCode): ProgramSignature {
  const parsed = programSignatureSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw malformed(code, issue?.message ?? 'its signature is invalid', ['signature', ...(issue?.path ?? [])].join('.'), parsed.error);
  }
  const problem = signatureProblem(parsed.data, graphs);
  if (problem !== undefined) throw malformed(code, problem, 'signature');
  return parsed.data;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return JSON.parse(text, (key, value: unknown) => {
      if (key === '__proto__') throw new TypeError('__proto__ is no name');
      return value;
    });
  } catch (error) {
    throw malformed('PROTOCOL', 'its signature is not JSON', 'signature', error);
  }
}

/** JSON with sorted keys and without undefined members: the same text however the value was put together. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

class Reader {
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** A length and as many bytes. */
  view(maxBytes: number): Uint8Array {
    const length = this.u64();
    if (length > maxBytes) throw malformed('PROTOCOL', `a part of it has ${length} bytes, more than the allowed ${maxBytes}`);
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw malformed('PROTOCOL', 'it is truncated');
    this.#at += length;
    return start;
  }
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function malformed(code: ErrorCode, why: string, field?: string, cause?: unknown): Dd2Error {
  return new Dd2Error(code, `a program is malformed: ${why}`, { field, cause });
}
