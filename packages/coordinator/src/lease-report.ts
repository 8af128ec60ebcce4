import { Dd2Error, type HostTensor } from '@dd2/core';
import { fromNamedTensors, type LeaseResult } from '@dd2/proto';
import type { Job, LeaseReport, MicroBatchOutcome } from './dispatcher.js';
import type { Lease } from './lease-table.js';

/** What a worker says of a lease. @throws {Dd2Error} PROTOCOL when it is not what the lease's program returns for its micro-batches */
export function leaseReport(lease: Lease<Job>, result: LeaseResult): LeaseReport {
  const { span, job } = lease;
  const microBatches = result.microBatches.map(({ index, metrics, results }): MicroBatchOutcome => ({ index, metrics, results: fromNamedTensors(results) }));
  if (microBatches.length !== span.to - span.from || microBatches.some(({ index }, i) => index !== span.from + i)) {
    throw refused(lease, `covers micro-batches ${span.from} to ${span.to - 1}, its result others`, 'micro_batches');
  }
  for (const { metrics, results } of microBatches) {
    requireNames(lease, 'metrics', job.signature.metrics, metrics);
    requireNames(lease, 'results', job.signature.results, results);
    for (const declared of job.signature.results) {
      const tensor = results[declared.name];
      if (tensor?.dtype !== declared.dtype || tensor.shape.join() !== declared.shape.join()) {
        throw refused(lease, `returns ${describe(declared)}, its result has ${tensor ? describe(tensor) : 'nothing'}`, declared.name);
      }
    }
  }
  for (const [field, value] of [['compute_ms', result.computeMs], ['transfer_ms', result.transferMs]] as const) {
    if (!(value >= 0 && value < Infinity)) throw refused(lease, `took ${value} ms, which is no duration`, field);
  }
  return { microBatches, computeMs: result.computeMs, transferMs: result.transferMs, finite: microBatches.every(isFinite) };
}

function requireNames(lease: Lease<Job>, field: string, declared: readonly { readonly name: string }[], given: Readonly<Record<string, unknown>>): void {
  const names = Object.keys(given);
  const extra = names.find((name) => !declared.some((one) => one.name === name));
  if (extra !== undefined) throw refused(lease, `returns no "${extra.slice(0, 64)}"`, field);
  const missing = declared.find(({ name }) => !Object.hasOwn(given, name));
  if (missing) throw refused(lease, `returns "${missing.name}", its result does not`, field);
}

function isFinite({ metrics, results }: MicroBatchOutcome): boolean {
  return Object.values(metrics).every(Number.isFinite) && Object.values(results).every(isFiniteTensor);
}

function isFiniteTensor({ data }: HostTensor): boolean {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return true;
  for (const value of data) if (value - value !== 0) return false; // results may have many millions of elements
  return true;
}

function refused({ id }: Lease<Job>, why: string, field: string): Dd2Error {
  return new Dd2Error('PROTOCOL', `lease ${id} ${why}`, { field });
}

function describe({ dtype, shape }: Pick<HostTensor, 'dtype' | 'shape'>): string {
  return `${dtype} [${shape.join(', ')}]`;
}
