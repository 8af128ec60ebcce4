import type { Dd2Error } from '@dd2/core';
import { createClient, createServer, fromNamedTensors, fromStatus, sendBulk, WorkerService, type BulkHeaderInit, type LeaseResult } from '@dd2/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job } from './dispatcher.js';
import type { Lease } from './lease-table.js';
import { ResultUploads } from './result-uploads.js';

const results = [
  { name: 'logits', value: 'logits', dtype: 'float32', shape: [2, 3] },
  { name: 'tokens', value: 'tokens', dtype: 'int64', shape: [2] },
] as const;
const lease = { id: 1, span: { from: 4, to: 6 }, job: { signature: { metrics: [], results } } } as unknown as Lease<Job>;
const result = { microBatches: [{ index: 4, metrics: {}, results: [] }, { index: 5, metrics: {}, results: [] }] } as unknown as LeaseResult;

const unexpected = (): Promise<never> => Promise.reject(new Error('the test does not expect this call'));

let current: Lease<Job> | undefined;
let refused: Dd2Error[];
let uploads: ResultUploads;
let client: ReturnType<typeof createClient<typeof WorkerService>>;
let close: () => Promise<void>;

beforeEach(async () => {
  current = lease;
  refused = [];
  uploads = new ResultUploads({ find: ({ leaseId, epoch }) => (leaseId === '1-s' && epoch === 7n ? current : undefined), onRefused: (_, error) => refused.push(error) });
  const server = createServer();
  server.add(WorkerService, { control: unexpected, getProgram: unexpected, getAsset: unexpected, getParameters: unexpected, pushGradient: unexpected, pushResult: (stream) => uploads.receive(stream) });
  client = createClient(WorkerService, `127.0.0.1:${await server.listen('127.0.0.1:0')}`);
  close = async () => {
    client.close();
    await server.close();
  };
});

afterEach(() => close());

async function push(name: string, data: Float32Array | BigInt64Array, header: Partial<BulkHeaderInit> = {}): Promise<boolean | string> {
  const { stream, response } = client.pushResult();
  const bytes = new Uint8Array(data.buffer);
  const sent = sendBulk(stream, { leaseId: '1-s', epoch: 7n, name, totalBytes: bytes.length, dtype: data instanceof Float32Array ? 'float32' : 'int64', shape: [], ...header }, [bytes], { chunkBytes: 8 });
  await sent.catch(() => undefined);
  return response.then(({ accepted }) => accepted, (thrown: unknown) => fromStatus(thrown).code);
}

/** Opens a stream of so many bytes; sends none of them. */
async function announce(totalBytes: number): Promise<string> {
  const { stream, response } = client.pushResult();
  stream.write({ header: { leaseId: '1-s', epoch: 7n, name: '4/logits', totalBytes, dtype: 'float32' }, offset: 0, data: new Uint8Array(8) });
  return response.then(() => 'accepted', (thrown: unknown) => fromStatus(thrown).code);
}

const logits = (first: number): Float32Array => Float32Array.from({ length: 6 }, (_, i) => first + i);

describe('large results', () => {
  it('are joined with the result that follows them, each with its micro-batch', async () => {
    expect(await push('5/logits', logits(10))).toBe(true);
    expect(await push('4/tokens', BigInt64Array.of(1n, 2n))).toBe(true);
    expect(await push('4/logits', logits(0))).toBe(true);
    const joined = uploads.complete(lease, result).microBatches.map((microBatch) => fromNamedTensors(microBatch.results));
    expect(joined).toEqual([
      { tokens: { dtype: 'int64', shape: [2], data: BigInt64Array.of(1n, 2n) }, logits: { dtype: 'float32', shape: [2, 3], data: logits(0) } },
      { logits: { dtype: 'float32', shape: [2, 3], data: logits(10) } },
    ]);
    expect(uploads.complete({ ...lease, id: 2 }, result)).toBe(result);
    expect(refused).toEqual([]);
  });

  it('of a lease that is foreign, of another epoch, or over count for nothing', async () => {
    expect(await push('4/logits', logits(0), { leaseId: '2-s' })).toBe(false);
    expect(await push('4/logits', logits(0), { epoch: 6n })).toBe(false);
    current = undefined;
    expect(await push('4/logits', logits(0))).toBe(false);
    expect(uploads.complete(lease, result)).toBe(result);
    expect(refused).toEqual([]);
  });

  it.each([
    ['that the program does not have', () => push('4/other', logits(0))],
    ['of a micro-batch outside the lease', () => push('6/logits', logits(0))],
    ['without a micro-batch', () => push('logits', logits(0))],
    ['of another size', () => push('4/logits', Float32Array.of(1, 2))],
    ['that announce far too much', () => announce(2 ** 40)],
    ['of another type', () => push('4/logits', BigInt64Array.of(1n, 2n, 3n))],
    ['that come twice', async () => [await push('4/logits', logits(0)), await push('4/logits', logits(0))].at(-1)],
  ])('%s fail their lease', async (_, run) => {
    expect(await run()).toBe('PROTOCOL');
    expect(refused).toMatchObject([{ code: 'PROTOCOL' }]);
  });

  it('that break off fail nothing', async () => {
    const { stream, response } = client.pushResult();
    stream.write({ header: { leaseId: '1-s', epoch: 7n, name: '4/logits', totalBytes: 24, dtype: 'float32' }, offset: 0, data: new Uint8Array(8) });
    stream.cancel?.();
    await response.catch(() => undefined);
    expect(await push('4/logits', logits(0))).toBe(true);
    expect(refused).toEqual([]);
  });
});
