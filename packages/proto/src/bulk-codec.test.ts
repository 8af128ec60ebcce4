import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Dd2Error } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import type { BulkHeader } from './bulk-chunk.js';
import { decodeBulkChunk, encodeBulkChunk } from './bulk-codec.js';
import { bulkFrame } from './bulk-frame.js';
import { toDataType } from './data-type.js';
import { BulkChunkSchema, DataType } from './gen/dd2/v1/bulk_pb.js';

const header: BulkHeader = {
  runId: 'run-1',
  leaseId: 'lease-é',
  epoch: 2n ** 63n,
  totalBytes: 5 * 1024 ** 3,
  name: 'generator',
  version: 17n,
  dtype: 'float32',
  shape: [3, 300, 0],
};
const data = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);
const chunks = [
  { offset: 0, data: new Uint8Array(0) },
  { offset: 0, data },
  { offset: 127, data: data.subarray(0, 127) },
  { offset: 128, data: data.subarray(5, 133) },
  { offset: 5 * 1024 ** 3, data },
  { offset: Number.MAX_SAFE_INTEGER, data: data.subarray(1, 2) },
  { header, offset: 0, data },
  { header: { ...header, dtype: undefined, shape: [], runId: '', epoch: 0n }, offset: 9, data },
];

const generated = (chunk: (typeof chunks)[number]) =>
  create(BulkChunkSchema, {
    offset: BigInt(chunk.offset),
    data: chunk.data,
    ...(chunk.header && {
      header: {
        ...chunk.header,
        totalBytes: BigInt(chunk.header.totalBytes),
        dataType: chunk.header.dtype === undefined ? DataType.UNSPECIFIED : toDataType(chunk.header.dtype),
        shape: chunk.header.shape.map(BigInt),
      },
    }),
  });

/** A deterministic stream of bytes for malformed input. */
function* noise(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 24;
  }
}

function failure(bytes: Iterable<number>): Dd2Error | undefined {
  try {
    decodeBulkChunk(Uint8Array.from(bytes));
    return undefined;
  } catch (error) {
    if (error instanceof Dd2Error) return error;
    throw error;
  }
}

describe('the codec of BulkChunk', () => {
  it.each(chunks)('writes the bytes of the generated codec, and reads them (%#)', (chunk) => {
    const expected = toBinary(BulkChunkSchema, generated(chunk));
    const encoded = encodeBulkChunk(chunk);
    expect(Buffer.from(expected).equals(encoded)).toBe(true);
    const frame = bulkFrame(chunk);
    const framed = Buffer.alloc(5 + frame.length);
    expect(frame.copy(framed, 5)).toBe(encoded.length);
    expect(framed.subarray(5).equals(encoded)).toBe(true);
    const decoded = decodeBulkChunk(encoded);
    expect(decoded).toEqual(chunk);
    expect(fromBinary(BulkChunkSchema, Uint8Array.from(encoded))).toEqual(generated(chunk));
  });

  it('decodes data as a view', () => {
    const encoded = encodeBulkChunk({ offset: 77, data });
    expect(decodeBulkChunk(encoded).data.buffer).toBe(encoded.buffer);
  });

  it('keeps the last of repeated scalars, merges repeated headers and takes fields in any order', () => {
    const first = encodeBulkChunk({ header: { totalBytes: 3, name: 'a', version: 9n }, offset: 1, data: data.subarray(0, 3) });
    const second = encodeBulkChunk({ header: { totalBytes: 0, name: 'b' }, offset: 2, data: data.subarray(0, 1) });
    const decoded = decodeBulkChunk(Buffer.concat([first, second]));
    const expected = fromBinary(BulkChunkSchema, Buffer.concat([first, second]));
    expect(decoded).toMatchObject({ offset: 2, header: { name: 'b', version: 9n, totalBytes: 3 } });
    expect(expected).toMatchObject({ offset: 2n, header: { name: 'b', version: 9n, totalBytes: 3n } });
    expect(decoded.data).toHaveLength(1);
  });

  it('skips unknown fields of every wire type', () => {
    const known = encodeBulkChunk({ offset: 5, data });
    const unknown = [
      [4 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [(5 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8],
      [(6 << 3) | 2, 3, 1, 2, 3],
      [(7 << 3) | 5, 1, 2, 3, 4],
      [0xfd, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3, 4], // the largest field number
    ];
    const bytes = Buffer.concat([...unknown.map((field) => Buffer.from(field)), known, Buffer.from(unknown[0] ?? [])]);
    expect(decodeBulkChunk(bytes)).toEqual({ offset: 5, data });
  });

  it('accepts numbers that are written longer than needed, as the format does', () => {
    expect(decodeBulkChunk(Uint8Array.of(16, 0x81, 0x80, 0x00)).offset).toBe(1);
  });

  it.each([
    ['an endless number', [16, ...Array<number>(11).fill(0xff)]],
    ['a number of ten bytes that is out of range', [16, ...Array<number>(9).fill(0xff), 0x01]],
    ['a number that ends early', [16, 0x80]],
    ['data longer than the message', [26, 5, 1, 2]],
    ['data of 2^53 bytes', [26, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a known field with another wire type', [18, 1, 0]],
    ['field number 0', [2, 0]],
    ['a field number above 2^29', [0x82, 0x80, 0x80, 0x80, 0x10, 0]],
    ['a group', [(9 << 3) | 3, (9 << 3) | 4]],
    ['an unknown wire type', [(9 << 3) | 7]],
    ['an unknown endless number', [4 << 3, ...Array<number>(11).fill(0x80)]],
    ['a truncated fixed field', [(9 << 3) | 1, 1, 2, 3]],
    ['a header that is no header', [10, 2, 0xff, 0xff]],
    ['a header with a text that is not UTF-8', [10, 3, 10, 1, 0xff]],
    ['a header with an unknown element type', [10, 2, 7 << 3, 99]],
    ['a header whose total is out of range', [10, 11, 4 << 3, ...Array<number>(9).fill(0xff), 0x01]],
  ])('refuses %s', (_name, bytes) => {
    expect(failure(bytes)).toMatchObject({ code: 'PROTOCOL' });
  });

  it('refuses a huge header', () => {
    expect(failure(encodeBulkChunk({ header: { totalBytes: 1, name: 'x'.repeat(70_000) }, offset: 0, data }))).toMatchObject({ code: 'PROTOCOL' });
  });

  it('answers every truncation of a message with an error or a shorter message', () => {
    const encoded = encodeBulkChunk({ header, offset: 1_000, data });
    for (let length = 0; length < encoded.length; length++) {
      const error = failure(encoded.subarray(0, length));
      if (error !== undefined) expect(error.code).toBe('PROTOCOL');
    }
  });

  it('answers arbitrary bytes with a message or a typed error', () => {
    for (let seed = 0; seed < 3_000; seed++) {
      const source = noise(seed);
      const error = failure(Array.from({ length: seed % 40 }, () => source.next().value));
      if (error !== undefined) expect(error.code).toBe('PROTOCOL');
    }
  });

  it('refuses to send an offset that is no position', () => {
    for (const offset of [-1, 0.5, 2 ** 53]) expect(() => encodeBulkChunk({ offset, data })).toThrow(RangeError);
  });
});
