import { Dd2Error, type DType } from '@dd2/core';
import { z } from 'zod';
import { corruptFile, type FileErrors } from './file-errors.js';

/**
 * The header of the safetensors format: 8 bytes with its length (little-endian), then JSON that maps each tensor to
 * dtype, shape and its bytes in the data that follow (https://huggingface.co/docs/safetensors). The subset of dtypes
 * is that of `DType`; tensors must fill the data without overlap and without holes.
 */

export const HEADER_PREFIX_BYTES = 8;
const METADATA_KEY = '__metadata__';

/** ours -> the format's name, and bytes per element */
const formats = {
  float64: { name: 'F64', bytes: 8 },
  int64: { name: 'I64', bytes: 8 },
  float32: { name: 'F32', bytes: 4 },
  int32: { name: 'I32', bytes: 4 },
  uint8: { name: 'U8', bytes: 1 },
  bool: { name: 'BOOL', bytes: 1 },
} as const satisfies Record<DType, { name: string; bytes: number }>;

type FormatName = (typeof formats)[DType]['name'];
const dtypeOf: Record<FormatName, DType> = { F64: 'float64', I64: 'int64', F32: 'float32', I32: 'int32', U8: 'uint8', BOOL: 'bool' };

/** A tensor as a header describes it. */
export interface TensorShape {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Where a tensor lies: `from` and `to` count bytes from the end of the header. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly from: number;
  readonly to: number;
}

export interface Header {
  /** in the order of the data */
  readonly entries: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly dataBytes: number;
}

const naturalNumber = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const entrySchema = z.strictObject({
  dtype: z.enum(['F64', 'I64', 'F32', 'I32', 'U8', 'BOOL']),
  shape: z.array(naturalNumber).max(8),
  data_offsets: z.tuple([naturalNumber, naturalNumber]),
});
const metadataSchema = z.record(z.string(), z.string());

/**
 * The order of tensors in a file: wide elements first, so that every tensor is aligned, then by name, so that equal
 * tensors give equal bytes.
 */
export function inFileOrder<T extends TensorShape>(tensors: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(tensors).sort(([nameA, a], [nameB, b]) => formats[b.dtype].bytes - formats[a.dtype].bytes || (nameA < nameB ? -1 : 1));
}

/** Prefix and JSON of the header, padded with spaces to a multiple of 8 bytes. @throws {Dd2Error} INVALID_ARGUMENT for a name that is taken */
export function encodeHeader(ordered: readonly (readonly [string, TensorShape])[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const fields: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA_KEY, metadata]] : [];
  let at = 0;
  for (const [name, tensor] of ordered) {
    if (name === METADATA_KEY) throw new Dd2Error('INVALID_ARGUMENT', 'a tensor cannot have the name of the metadata', { field: name, remedy: 'Give it another name' });
    const format = formats[tensor.dtype];
    const to = at + bytesOfTensor(tensor);
    fields.push([name, { dtype: format.name, shape: tensor.shape, data_offsets: [at, to] }]);
    at = to;
  }
  const json = JSON.stringify(Object.fromEntries(fields));
  const length = Math.ceil(Buffer.byteLength(json) / 8) * 8;
  const bytes = Buffer.alloc(HEADER_PREFIX_BYTES + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length));
  bytes.write(json, HEADER_PREFIX_BYTES);
  return bytes;
}

/**
 * Parses the JSON of a header and checks that its tensors fill `dataBytes` exactly.
 * @throws {Dd2Error} `errors.corrupt` naming file and field
 */
export function decodeHeader(json: Uint8Array, dataBytes: number, file: string, errors: FileErrors): Header {
  const fields = parseFields(json, file, errors);
  let metadata: Record<string, string> = {};
  const entries: TensorEntry[] = [];
  for (const [name, value] of fields) {
    if (name === METADATA_KEY) {
      const parsed = metadataSchema.safeParse(value);
      if (!parsed.success) throw corruptFile(errors, file, 'the metadata are not a map of strings', METADATA_KEY, parsed.error);
      metadata = parsed.data;
      continue;
    }
    const parsed = entrySchema.safeParse(value);
    if (!parsed.success) throw corruptFile(errors, file, describe(parsed.error), name, parsed.error);
    const { dtype, shape, data_offsets: [from, to] } = parsed.data;
    const entry = { name, dtype: dtypeOf[dtype], shape, from, to };
    if (to - from !== bytesOfTensor(entry)) {
      throw corruptFile(errors, file, `${dtype} [${shape.join(', ')}] does not take the bytes ${from} to ${to}`, name);
    }
    entries.push(entry);
  }
  entries.sort((a, b) => a.from - b.from || a.to - b.to);
  let end = 0;
  for (const { name, from, to } of entries) {
    if (from !== end) throw corruptFile(errors, file, `the tensor starts at byte ${from}, the one before ends at ${end}`, name);
    end = to;
  }
  if (end !== dataBytes) throw corruptFile(errors, file, `the tensors take ${end} bytes, the file holds ${dataBytes}`, 'data_offsets');
  return { entries, metadata, dataBytes };
}

function parseFields(json: Uint8Array, file: string, errors: FileErrors): [string, unknown][] {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    value = JSON.parse(text);
  } catch (cause) {
    throw corruptFile(errors, file, 'the header is not JSON', 'header', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw corruptFile(errors, file, 'the header is not a JSON object', 'header');
  const twice = repeatedKey(text);
  if (twice !== undefined) throw corruptFile(errors, file, 'the header has the same key twice', twice);
  return Object.entries(value);
}

/** The first key that an object of this (valid) JSON text has twice; `JSON.parse` would silently take the last. */
function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  let last = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}:]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (token !== ':') last = token;
    else {
      const key: unknown = JSON.parse(last);
      const keys = open.at(-1);
      if (keys === undefined || typeof key !== 'string') continue;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue ? `${[...issue.path].join('.') || 'the tensor'}: ${issue.message}` : 'the tensor is not described correctly';
}

export function bytesOfTensor({ dtype, shape }: TensorShape): number {
  return elements(shape) * formats[dtype].bytes;
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
