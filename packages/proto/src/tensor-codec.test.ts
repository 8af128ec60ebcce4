import { Dd2Error, type DType, type HostTensor } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DataType } from './gen/dd2/v1/bulk_pb.js';
import { MicroBatchResultSchema } from './gen/dd2/v1/worker_pb.js';
import { fromNamedTensors, toNamedTensors } from './named-tensor.js';
import { decodeTensor, encodeTensor, tensorId } from './tensor-codec.js';

const tensors: Record<DType, HostTensor> = {
  float32: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1.5, -0, NaN, Infinity) },
  float64: { dtype: 'float64', shape: [], data: Float64Array.of(Math.PI) },
  int32: { dtype: 'int32', shape: [3], data: Int32Array.of(-1, 0, 2 ** 31 - 1) },
  int64: { dtype: 'int64', shape: [1, 2, 1], data: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n) },
  uint8: { dtype: 'uint8', shape: [0, 28, 28], data: new Uint8Array(0) },
  bool: { dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 1) },
};
const all = Object.values(tensors);
const encoded = (tensor: HostTensor): Buffer => Buffer.concat(encodeTensor(tensor));
const code = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return error instanceof Dd2Error ? error.code : String(error);
  }
};

describe('tensors as bytes', () => {
  it.each(all)('$dtype survives, from any alignment', (tensor) => {
    const bytes = encoded(tensor);
    expect(decodeTensor(Uint8Array.from(bytes))).toEqual(tensor);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(decodeTensor(shifted.subarray(1))).toEqual(tensor);
  });

  it('copies neither when it encodes nor when it decodes aligned bytes', () => {
    expect(encodeTensor(tensors.float32)[1].buffer).toBe(tensors.float32.data.buffer);
    const bytes = Uint8Array.from(encoded(tensors.float64));
    expect(decodeTensor(bytes).data.buffer).toBe(bytes.buffer);
  });

  it('encodes a view of a larger buffer as its own elements only', () => {
    const data = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
    expect(decodeTensor(encoded({ dtype: 'float32', shape: [2], data })).data).toEqual(Float32Array.of(1, 2));
  });

  it('identifies dtype, shape and elements', () => {
    const data = new Float32Array(4);
    const ids = [
      tensorId({ dtype: 'float32', shape: [4], data }),
      tensorId({ dtype: 'float32', shape: [2, 2], data }),
      tensorId({ dtype: 'int32', shape: [4], data: new Int32Array(4) }),
      tensorId({ dtype: 'float32', shape: [4], data: Float32Array.of(0, 0, 0, 1) }),
    ];
    expect(new Set(ids).size).toBe(4);
    expect(tensorId({ dtype: 'float32', shape: [4], data })).toBe(ids[0]);
    expect(ids[0]).toMatch(/^[0-9a-f]{64}$/);
  });

  it('refuses bytes that are not one tensor', () => {
    const good = encoded(tensors.float32);
    const edited = (position: number, value: number): Uint8Array => {
      const bytes = Uint8Array.from(good);
      bytes[position] = value;
      return bytes;
    };
    const bad = [edited(0, 0), edited(4, 2), edited(5, 0), edited(5, 77), edited(6, 9), edited(6, 255), edited(7, 1), edited(8, 3), edited(15, 255), Buffer.concat([good, good])];
    for (const bytes of bad) expect(code(() => decodeTensor(bytes))).toBe('PROTOCOL');
    for (let length = 0; length < good.length; length++) expect(code(() => decodeTensor(good.subarray(0, length)))).toBe('PROTOCOL');
    expect(code(() => decodeTensor(good, { maxBytes: good.length - 1 }))).toBe('PROTOCOL');
    expect(code(() => decodeTensor(Buffer.concat([encoded(tensors.bool).subarray(0, -1), Uint8Array.of(2)])))).toBe('PROTOCOL');
  });

  it('refuses to encode data that do not fill the shape', () => {
    expect(code(() => encodeTensor({ dtype: 'float32', shape: [3], data: new Float32Array(2) }))).toBe('INVALID_ARGUMENT');
    expect(code(() => encodeTensor({ dtype: 'float32', shape: [-2], data: new Float32Array(2) }))).toBe('INVALID_ARGUMENT');
    expect(code(() => encodeTensor({ dtype: 'uint8', shape: Array<number>(9).fill(1), data: new Uint8Array(1) }))).toBe('INVALID_ARGUMENT');
  });
});

describe('results', () => {
  it('survive inside a message, under their names', () => {
    const message = create(MicroBatchResultSchema, { index: 3, metrics: { loss: 0.25, norm: NaN }, results: toNamedTensors(tensors) });
    const decoded = fromBinary(MicroBatchResultSchema, toBinary(MicroBatchResultSchema, message));
    expect(fromNamedTensors(decoded.results)).toEqual(tensors);
    expect(decoded.metrics).toEqual({ loss: 0.25, norm: NaN });
  });

  it('keep odd names as plain members', () => {
    const results = fromNamedTensors(toNamedTensors(Object.fromEntries([['__proto__', tensors.bool]])));
    expect(Object.getPrototypeOf(results)).toBe(Object.prototype);
    expect(Object.keys(results)).toEqual(['__proto__']);
  });

  it('with the same name, or with wrong data, are refused', () => {
    const [message] = toNamedTensors({ a: tensors.int32 });
    if (message === undefined) throw new TypeError('one tensor makes one message');
    expect(code(() => fromNamedTensors([message, message]))).toBe('PROTOCOL');
    expect(code(() => fromNamedTensors([{ ...message, data: message.data.subarray(1) }]))).toBe('PROTOCOL');
    expect(code(() => fromNamedTensors([{ ...message, dataType: 42 as DataType }]))).toBe('PROTOCOL');
    expect(code(() => fromNamedTensors([{ ...message, shape: [2n ** 60n] }]))).toBe('PROTOCOL');
  });
});
