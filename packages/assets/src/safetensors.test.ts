import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dd2Error, type HostTensor } from '@dd2/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkpointErrors } from './file-errors.js';
import { encodeSafetensors, encodeSafetensorsFrom, readSafetensors, writeSafetensors, type SafetensorsFile } from './safetensors.js';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dd2-safetensors-'));
  path = join(folder, 'file.safetensors');
});
afterAll(() => rm(folder, { recursive: true }));

const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
const sizeOf = (dimensions: readonly number[]): number => dimensions.reduce((product, size) => product * size, 1);

/** Tensors of every dtype with any bits (NaN payloads too) and any names. */
const tensor: fc.Arbitrary<HostTensor> = shape.chain((dimensions): fc.Arbitrary<HostTensor> => {
  const bytes = (width: number): fc.Arbitrary<ArrayBuffer> =>
    fc.uint8Array({ minLength: sizeOf(dimensions) * width, maxLength: sizeOf(dimensions) * width }).map((values) => values.slice().buffer);
  return fc.oneof(
    bytes(4).map((buffer): HostTensor => ({ dtype: 'float32', shape: dimensions, data: new Float32Array(buffer) })),
    bytes(8).map((buffer): HostTensor => ({ dtype: 'float64', shape: dimensions, data: new Float64Array(buffer) })),
    bytes(4).map((buffer): HostTensor => ({ dtype: 'int32', shape: dimensions, data: new Int32Array(buffer) })),
    bytes(8).map((buffer): HostTensor => ({ dtype: 'int64', shape: dimensions, data: new BigInt64Array(buffer) })),
    bytes(1).map((buffer): HostTensor => ({ dtype: 'uint8', shape: dimensions, data: new Uint8Array(buffer) })),
    bytes(1).map((buffer): HostTensor => ({ dtype: 'bool', shape: dimensions, data: new Uint8Array(buffer) })),
  );
});
const named = fc
  .array(fc.tuple(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant('__proto__'), fc.constant('constructor')), tensor), { maxLength: 6 })
  .map((entries) => Object.fromEntries(entries));

const example: Record<string, HostTensor> = {
  'blocks.0.weight': { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, -2, 3.5, 0, 1e-30, 7) },
  mask: { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
  step: { dtype: 'int64', shape: [], data: BigInt64Array.of(-5n) },
};

/** The parts of a tensor as bytes, so that NaN and -0 compare by bits. */
const bits = ({ dtype, shape: dimensions, data }: HostTensor): string => `${dtype} [${dimensions.join()}] ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')}`;
const bitsOf = (tensors: Record<string, HostTensor>): [string, string][] => Object.entries(tensors).map(([name, value]): [string, string] => [name, bits(value)]).sort();

function bytesOf(tensors: Record<string, HostTensor>): Buffer {
  return Buffer.concat([...encodeSafetensors(tensors).chunks]);
}

/** A file with this header and this many bytes of data. */
function file(header: string, dataBytes: number): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([prefix, Buffer.from(header), Buffer.alloc(dataBytes)]);
}

/** What reading these bytes gives: the file, or a typed error; anything else fails the test. */
async function outcome(bytes: Uint8Array, options?: Parameters<typeof readSafetensors>[1]): Promise<SafetensorsFile | Dd2Error> {
  await writeFile(path, bytes);
  try {
    return await readSafetensors(path, options);
  } catch (thrown) {
    if (!(thrown instanceof Dd2Error)) throw thrown;
    expect(thrown).toMatchObject({ code: 'ASSET_CORRUPT', remedy: expect.stringContaining('npx dd2 prepare mnist') as string });
    expect(thrown.message).toContain(path);
    return thrown;
  }
}

describe('writing and reading', () => {
  it('returns the same bits, names and metadata', async () => {
    await fc.assert(
      fc.asyncProperty(named, fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string({ unit: 'grapheme' })), async (tensors, metadata) => {
        const digest = await writeSafetensors(path, tensors, metadata);
        const bytes = await readFile(path);
        expect(digest).toEqual({ sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length });
        const read = await readSafetensors(path, { expect: digest });
        expect(bitsOf(read.tensors)).toEqual(bitsOf(tensors));
        expect({ ...read.metadata }).toEqual({ ...metadata });
      }),
      { numRuns: 60 },
    );
  });

  it('is the published format: length, JSON, little-endian data, wide elements first', () => {
    const header = '{"blocks.0.weight":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[12,14]},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}';
    const bytes = bytesOf({
      mask: { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
      'blocks.0.weight': { dtype: 'float32', shape: [1], data: Float32Array.of(1) },
      step: { dtype: 'int64', shape: [], data: BigInt64Array.of(3n) },
    });
    const headerBytes = Number(bytes.readBigUInt64LE());
    expect(headerBytes % 8).toBe(0);
    expect(JSON.parse(bytes.subarray(8, 8 + headerBytes).toString())).toEqual(JSON.parse(header));
    expect([...bytes.subarray(8 + headerBytes)]).toEqual([3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 1, 0]);
  });

  it('gives equal bytes for equal tensors in any order', () => {
    expect(bytesOf(Object.fromEntries(Object.entries(example).reverse()))).toEqual(bytesOf(example));
  });

  it('never builds one buffer of the file: chunks are views of the tensors', () => {
    const data = new Float32Array(3_000_000);
    const chunks = [...encodeSafetensors({ data: { dtype: 'float32', shape: [3_000_000], data } }).chunks];
    expect(chunks.slice(1).map((chunk) => [chunk.buffer === data.buffer, chunk.byteLength])).toEqual([
      [true, 4 * 1024 * 1024],
      [true, 4 * 1024 * 1024],
      [true, 12_000_000 - 8 * 1024 * 1024],
    ]);
  });

  it('refuses tensors that contradict themselves, and leaves no file', async () => {
    const target = join(folder, 'refused.safetensors');
    await expect(writeSafetensors(target, { a: { dtype: 'float32', shape: [3], data: new Float32Array(2) } })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'a' });
    await expect(writeSafetensors(target, { __metadata__: { dtype: 'float32', shape: [1], data: new Float32Array(1) } })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(readFile(target)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('gives the same bytes for tensors that lie in pieces', () => {
    const data = Float32Array.from({ length: 10 }, (_, i) => i / 3);
    const whole = bytesOf({ a: { dtype: 'float32', shape: [4], data: data.slice(0, 4) }, b: { dtype: 'float32', shape: [2, 3], data: data.slice(4) } });
    const tensors = { b: { dtype: 'float32', shape: [2, 3], from: 16, to: 40 }, a: { dtype: 'float32', shape: [4], from: 0, to: 16 } } as const;
    const { bytes, chunks } = encodeSafetensorsFrom(tensors, (_, { from, to }) => [new Uint8Array(data.buffer, from, 5), new Uint8Array(data.buffer, from + 5, to - from - 5)]);
    expect(Buffer.compare(Buffer.concat([...chunks]), whole)).toBe(0);
    expect(bytes).toBe(whole.length);
  });

  it('reports an unwritable place', async () => {
    await expect(writeSafetensors(join(folder, 'absent', 'x'), example)).rejects.toMatchObject({ code: 'INTERNAL', remedy: 'Check the free space and the permissions of its folder' });
  });
});

describe('damage', () => {
  it('every truncation and every extension is detected', async () => {
    const bytes = bytesOf(example);
    for (let length = 0; length < bytes.length; length++) expect(await outcome(bytes.subarray(0, length))).toBeInstanceOf(Dd2Error);
    expect(await outcome(Buffer.concat([bytes, Buffer.alloc(1)]))).toBeInstanceOf(Dd2Error);
  });

  it('every flipped bit of the header is detected or leaves the tensors as they are, but for their names', async () => {
    const bytes = bytesOf(example);
    const headerEnd = 8 + Number(bytes.readBigUInt64LE());
    const values = Object.values(example).map(bits).sort();
    for (let bit = 0; bit < headerEnd * 8; bit++) {
      const read = await outcome(flipped(bytes, bit));
      if (!(read instanceof Dd2Error)) expect(Object.values(read.tensors).map(bits).sort()).toEqual(values);
    }
  });

  it('the digest of a manifest detects every flipped bit', async () => {
    const bytes = bytesOf(example);
    const digest = { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
    for (let bit = 0; bit < bytes.length * 8; bit += 3) expect(await outcome(flipped(bytes, bit), { expect: digest })).toBeInstanceOf(Dd2Error);
  });

  it('random bytes and random edits give a typed error or tensors', async () => {
    const bytes = bytesOf(example);
    const edit = fc.tuple(fc.nat(bytes.length), fc.nat(20), fc.uint8Array({ maxLength: 20 }));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), edit.map(([at, removed, added]) => Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]))), async (damaged) => {
        await outcome(damaged);
      }),
      { numRuns: 200 },
    );
  });

  const entry = (from: number, to: number, extra = ''): string => `{"dtype":"U8","shape":[${to - from}],"data_offsets":[${from},${to}]${extra}}`;
  it.each([
    ['no JSON', 'nonsense', 0, 'header', 'not JSON'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'), 0, 'header', 'not JSON'],
    ['an array', '[]', 0, 'header', 'not a JSON object'],
    ['a hole', `{"a":${entry(0, 2)},"b":${entry(3, 4)}}`, 4, 'b', 'starts at byte 3'],
    ['an overlap', `{"a":${entry(0, 2)},"b":${entry(1, 4)}}`, 4, 'b', 'starts at byte 1'],
    ['an overlap that comes back', `{"a":${entry(0, 4)},"b":${entry(0, 4)}}`, 4, 'b', 'starts at byte 0'],
    ['data after the last tensor', `{"a":${entry(0, 2)}}`, 4, 'data_offsets', 'take 2 bytes'],
    ['a tensor beyond the file', `{"a":${entry(0, 9)}}`, 4, 'data_offsets', 'take 9 bytes'],
    ['a shape that contradicts the offsets', '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4, 'a', 'does not take the bytes 0 to 4'],
    ['offsets in the wrong order', '{"a":{"dtype":"U8","shape":[0],"data_offsets":[4,0]}}', 4, 'a', 'does not take the bytes'],
    ['a negative size', '{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,4]}}', 4, 'a', 'shape.0'],
    ['a shape whose product overflows', '{"a":{"dtype":"U8","shape":[9007199254740991,9007199254740991],"data_offsets":[0,4]}}', 4, 'a', 'does not take the bytes'],
    ['too many dimensions', '{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,4]}}', 4, 'a', 'shape'],
    ['another dtype', '{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}', 4, 'a', 'dtype'],
    ['a field that is missing', '{"a":{"dtype":"U8","shape":[4]}}', 4, 'a', 'data_offsets'],
    ['a field too many', `{"a":${entry(0, 4, ',"extra":1')}}`, 4, 'a', 'extra'],
    ['a tensor twice', `{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4, 'a', 'same key twice'],
    ['a tensor twice, once escaped', `{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`, 4, 'a', 'same key twice'],
    ['a field twice', `{"a":${entry(0, 4, ',"dtype":"BOOL"')}}`, 4, 'dtype', 'same key twice'],
    ['metadata that are not strings', '{"__metadata__":{"a":1}}', 0, '__metadata__', 'not a map of strings'],
    ['nesting that exhausts a parser', '['.repeat(200_000), 0, 'header', 'not JSON'],
  ])('refuses %s', async (_, header, dataBytes, field, problem) => {
    const text = header.includes('\u00ff') ? Buffer.from(header, 'latin1') : Buffer.from(header);
    const bytes = Buffer.concat([file('', 0).fill(0, 0, 8), text, Buffer.alloc(dataBytes)]);
    bytes.writeBigUInt64LE(BigInt(text.length));
    const read = await outcome(bytes);
    expect(read).toMatchObject({ field, message: expect.stringContaining(problem) as string });
  });

  it('refuses what exceeds the limits before reading it', async () => {
    const bytes = bytesOf(example);
    expect(await outcome(bytes, { limits: { headerBytes: 16 } })).toMatchObject({ field: 'header', message: expect.stringContaining('the limit is 16') as string });
    expect(await outcome(bytes, { limits: { fileBytes: 16 } })).toMatchObject({ field: 'bytes', message: expect.stringContaining('limit of 16') as string });
    const endless = Buffer.alloc(16, 0xff);
    expect(await outcome(endless)).toMatchObject({ field: 'header' });
  });

  it('names a file that is missing', async () => {
    const absent = join(folder, 'absent.safetensors');
    await expect(readSafetensors(absent)).rejects.toMatchObject({ code: 'ASSET_MISSING', message: expect.stringContaining(absent) as string });
    await expect(readSafetensors(absent, { errors: checkpointErrors })).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });
});

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
