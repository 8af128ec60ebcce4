import type { HostTensor } from '@dd2/core';
import { toNamedTensors, type LeaseResult } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import type { Job } from './dispatcher.js';
import { leaseReport } from './lease-report.js';
import type { Lease } from './lease-table.js';

const signature: Job['signature'] = {
  name: 'program',
  metrics: [{ name: 'loss', value: 'loss' }],
  results: [
    { name: 'logits', value: 'l', dtype: 'float32', shape: [2, 3] },
    { name: 'tokens', value: 't', dtype: 'int64', shape: [2] },
  ],
};
const lease = { id: 1, span: { from: 2, to: 4 }, worker: 'w', assignedAt: 0, job: { signature } as Job } satisfies Lease<Job>;
const logits: HostTensor = { dtype: 'float32', shape: [2, 3], data: new Float32Array(6) };
const tokens: HostTensor = { dtype: 'int64', shape: [2], data: new BigInt64Array(2) };

interface Given {
  readonly metrics?: Record<string, number>;
  readonly results?: Record<string, HostTensor>;
}

function result(second: Given = {}, more: Partial<LeaseResult> = {}): LeaseResult {
  const microBatch = (index: number, { metrics = { loss: 1 }, results = { logits, tokens } }: Given) => ({ index, metrics, results: toNamedTensors(results) });
  return { microBatches: [microBatch(2, {}), microBatch(3, second)], computeMs: 1, transferMs: 2, ...more } as LeaseResult;
}

describe('leaseReport', () => {
  it('takes what the program returns', () => {
    const report = leaseReport(lease, result());
    expect(report).toMatchObject({ computeMs: 1, transferMs: 2, finite: true });
    expect(report.microBatches).toMatchObject([{ index: 2, metrics: { loss: 1 }, results: { logits, tokens } }, { index: 3 }]);
  });

  it.each<[string, Given, string]>([
    ['a metric too many', { metrics: { loss: 1, other: 2 } }, 'metrics'],
    ['a metric named like a member of every object', { metrics: { loss: 1, ['__proto__x']: 2 } }, 'metrics'],
    ['a metric too few', { metrics: {} }, 'metrics'],
    ['a result too many', { results: { logits, tokens, more: tokens } }, 'results'],
    ['a result too few', { results: { logits } }, 'results'],
    ['another type', { results: { logits, tokens: { dtype: 'int32', shape: [2], data: new Int32Array(2) } } }, 'tokens'],
    ['another shape', { results: { logits: { ...logits, shape: [3, 2] }, tokens } }, 'logits'],
    ['more elements', { results: { logits: { dtype: 'float32', shape: [2, 3, 2], data: new Float32Array(12) }, tokens } }, 'logits'],
  ])('refuses %s', (_, second, field) => {
    expect(() => leaseReport(lease, result(second))).toThrow(expect.objectContaining({ code: 'PROTOCOL', field }));
  });

  it('refuses results of the same name, tensors whose bytes do not fit, and times that are none', () => {
    const twice = result();
    twice.microBatches[1]?.results.push(...toNamedTensors({ tokens }));
    expect(() => leaseReport(lease, twice)).toThrow(expect.objectContaining({ code: 'PROTOCOL', field: 'tokens' }));
    const cut = result();
    for (const named of cut.microBatches[1]?.results ?? []) named.data = named.data.subarray(1);
    expect(() => leaseReport(lease, cut)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
    for (const computeMs of [-1, NaN, Infinity]) expect(() => leaseReport(lease, result({}, { computeMs }))).toThrow(expect.objectContaining({ field: 'compute_ms' }));
  });

  it.each<[string, Given]>([
    ['metric', { metrics: { loss: NaN } }],
    ['result', { results: { logits: { ...logits, data: Float32Array.from([0, 0, 0, 0, 0, -Infinity]) }, tokens } }],
  ])('tells that a %s is not finite', (_, second) => {
    expect(leaseReport(lease, result(second)).finite).toBe(false);
  });
});
