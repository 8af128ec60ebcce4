import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Dd2Error } from '@dd2/core';
import type { BulkChunk, BulkChunkInit, BulkHeader, BulkHeaderInit } from './bulk-chunk.js';
import { fromDataType, toDataType } from './data-type.js';
import { BulkHeaderSchema, DataType } from './gen/dd2/v1/bulk_pb.js';
import { toSafeNumber } from './safe-number.js';

/**
 * The codec of dd2.v1.BulkChunk, wire-compatible with the generated one. It exists because bulk data must not pass
 * through message objects: decoding makes a view of the received bytes, encoding writes the caller's bytes once.
 */

// Tags of the three fields: (number << 3) | wire type.
const HEADER_TAG = (1 << 3) | 2;
const OFFSET_TAG = 2 << 3;
const DATA_TAG = (3 << 3) | 2;

/** Headers hold a few short strings and a shape. */
const MAX_HEADER_BYTES = 64 * 1024;

/** Everything of the message before the bytes of `data`. */
export function encodeBulkPrefix(chunk: BulkChunkInit): Uint8Array {
  const header = chunk.header === undefined ? undefined : encodeHeader(chunk.header);
  const { offset, data } = chunk;
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset ${offset} is not a position in a stream`);
  const size =
    (header === undefined ? 0 : 1 + varintSize(header.length) + header.length) +
    (offset === 0 ? 0 : 1 + varintSize(offset)) +
    (data.length === 0 ? 0 : 1 + varintSize(data.length));
  const out = new Uint8Array(size);
  let at = 0;
  if (header !== undefined) {
    out[at++] = HEADER_TAG;
    at = writeVarint(out, at, header.length);
    out.set(header, at);
    at += header.length;
  }
  if (offset !== 0) {
    out[at++] = OFFSET_TAG;
    at = writeVarint(out, at, offset);
  }
  if (data.length !== 0) {
    out[at++] = DATA_TAG;
    writeVarint(out, at, data.length);
  }
  return out;
}

/** The whole message in one buffer of its own. */
export function encodeBulkChunk(chunk: BulkChunkInit): Buffer {
  const prefix = encodeBulkPrefix(chunk);
  const out = Buffer.allocUnsafeSlow(prefix.length + chunk.data.length);
  out.set(prefix, 0);
  out.set(chunk.data, prefix.length);
  return out;
}

/**
 * Decodes a message; `data` is a view of `bytes`. Unknown fields are skipped.
 * @throws {Dd2Error} PROTOCOL when the bytes are not a BulkChunk
 */
export function decodeBulkChunk(bytes: Uint8Array): BulkChunk {
  const reader = new Reader(bytes);
  let header: Uint8Array | undefined;
  let offset = 0;
  let data: Uint8Array = new Uint8Array(0);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === HEADER_TAG) {
      const part = reader.view();
      // Protobuf merges a message field that occurs twice, which is the same as concatenating its bytes.
      header = header === undefined ? part : Buffer.concat([header, part]);
    } else if (tag === OFFSET_TAG) {
      offset = reader.varint();
    } else if (tag === DATA_TAG) {
      data = reader.view();
    } else {
      reader.skip(tag);
    }
  }
  return header === undefined ? { offset, data } : { header: decodeHeader(header), offset, data };
}

function encodeHeader(header: BulkHeaderInit): Uint8Array {
  const { dtype, shape, totalBytes, ...rest } = header;
  return toBinary(
    BulkHeaderSchema,
    create(BulkHeaderSchema, {
      ...rest,
      totalBytes: BigInt(totalBytes),
      dataType: dtype === undefined ? DataType.UNSPECIFIED : toDataType(dtype),
      shape: (shape ?? []).map(BigInt),
    }),
  );
}

function decodeHeader(bytes: Uint8Array): BulkHeader {
  if (bytes.length > MAX_HEADER_BYTES) throw malformed('its header is too large');
  try {
    const { runId, leaseId, epoch, totalBytes, name, version, dataType, shape } = fromBinary(BulkHeaderSchema, bytes);
    return {
      runId,
      leaseId,
      epoch,
      totalBytes: toSafeNumber(totalBytes, 'total_bytes'),
      name,
      version,
      dtype: dataType === DataType.UNSPECIFIED ? undefined : fromDataType(dataType),
      shape: shape.map((dimension) => toSafeNumber(dimension, 'shape')),
    };
  } catch (error) {
    throw error instanceof Dd2Error ? error : malformed('its header cannot be read', error);
  }
}

class Reader {
  #at = 0;
  readonly #bytes: Uint8Array;

  /** Views are plain arrays also when `bytes` is a Buffer, whose `slice` would not copy. */
  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** At most 10 bytes, as the format says; values above 2^53 - 1 are refused rather than rounded. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let length = 0; length < 10; length++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed('it ends within a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw malformed('a number is out of range');
        return value;
      }
      scale *= 128;
    }
    throw malformed('a number is too long');
  }

  view(): Uint8Array {
    const length = this.varint();
    return this.#bytes.subarray(this.#at, this.#advance(length));
  }

  skip(tag: number): void {
    // Field numbers end at 2^29 - 1; the three known ones must have their own wire type.
    const field = Math.floor(tag / 8);
    if (field < 4 || field >= 2 ** 29) throw malformed(`field ${field} has wire type ${tag % 8}`);
    const wireType = tag % 8;
    if (wireType === 0) this.#skipVarint();
    else if (wireType === 1) this.#advance(8);
    else if (wireType === 2) this.#advance(this.varint());
    else if (wireType === 5) this.#advance(4);
    else throw malformed(`field ${field} has wire type ${wireType}`);
  }

  #skipVarint(): void {
    for (let length = 0; length < 10; length++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed('it ends within a number');
      if (byte < 0x80) return;
    }
    throw malformed('a number is too long');
  }

  #advance(length: number): number {
    if (length > this.#bytes.length - this.#at) throw malformed('it is truncated');
    this.#at += length;
    return this.#at;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

function writeVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  let position = at;
  while (rest >= 128) {
    out[position++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  out[position++] = rest;
  return position;
}

function malformed(why: string, cause?: unknown): Dd2Error {
  return new Dd2Error('PROTOCOL', `a bulk chunk is malformed: ${why}`, { remedy: 'Do both sides run the same version?', cause });
}
