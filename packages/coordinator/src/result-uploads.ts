import { Dd2Error, type DType } from '@dd2/core';
import { elementTypes, fromStatus, receiveBytes, tensorFromBytes, toNamedTensors, type Handlers, type LeaseResult, type NamedTensor, type WorkerService } from '@dd2/proto';
import type { Job } from './dispatcher.js';
import type { Lease } from './lease-table.js';

export interface ResultUploadsOptions {
  /** the lease that a stream names, if its result is still wanted */
  readonly find: (header: { readonly leaseId: string; readonly epoch: bigint }) => Lease<Job> | undefined;
  /** A tensor that does not fit its lease has come. */
  readonly onRefused: (lease: Lease<Job>, error: Dd2Error) => void;
}

/** A result as its lease's program declares it. */
interface DeclaredResult {
  readonly microBatch: number;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** The large tensors of results: they come as bulk streams, ahead of the LeaseResult that they belong to. */
export class ResultUploads {
  /** by micro-batch; what has come of a lease goes with the lease, however it ends */
  readonly #pushed = new WeakMap<Lease<Job>, Map<number, NamedTensor[]>>();

  constructor(readonly options: ResultUploadsOptions) {}

  /** PushResult: takes one tensor, of exactly the size that the lease's program declares. */
  async receive(stream: Parameters<Handlers<typeof WorkerService>['pushResult']>[0]): Promise<{ accepted: boolean }> {
    const { find, onRefused } = this.options;
    let lease: Lease<Job> | undefined;
    try {
      const { data, header } = await receiveBytes(stream, {
        maxBytes: Number.MAX_SAFE_INTEGER,
        onHeader: (opening) => {
          lease = find(opening);
          if (!lease) throw new Dd2Error('STALE_LEASE', 'nobody waits for this result', { field: 'lease_id' });
          const { dtype, shape } = declaredResult(lease, opening.name);
          const bytes = shape.reduce((product, dimension) => product * dimension, elementTypes[dtype].bytes);
          if (opening.totalBytes !== bytes || opening.dtype !== dtype) {
            throw new Dd2Error('PROTOCOL', `a result of ${opening.totalBytes} bytes of ${opening.dtype ?? 'unknown type'} arrived, ${bytes} bytes of ${dtype} were expected`, { field: opening.name });
          }
        },
      });
      if (!lease || !find(header)) return { accepted: false };
      this.#keep(lease, declaredResult(lease, header.name), data);
      return { accepted: true };
    } catch (thrown) {
      const error = fromStatus(thrown);
      if (error.code === 'STALE_LEASE') return { accepted: false };
      // One that is wrong fails its lease; one that broke off does not: its worker reports that, or is lost.
      if (lease && error.code === 'PROTOCOL') onRefused(lease, error);
      throw error;
    }
  }

  /** The result together with the tensors that came ahead of it. */
  complete(lease: Lease<Job>, result: LeaseResult): LeaseResult {
    const pushed = this.#pushed.get(lease);
    if (!pushed) return result;
    return { ...result, microBatches: result.microBatches.map((microBatch) => ({ ...microBatch, results: [...microBatch.results, ...(pushed.get(microBatch.index) ?? [])] })) };
  }

  #keep(lease: Lease<Job>, { microBatch, name, dtype, shape }: DeclaredResult, data: Uint8Array): void {
    const pushed = this.#pushed.get(lease) ?? new Map<number, NamedTensor[]>();
    this.#pushed.set(lease, pushed);
    const tensors = pushed.get(microBatch) ?? [];
    if (tensors.some((other) => other.name === name)) throw new Dd2Error('PROTOCOL', 'a result came twice', { field: name });
    pushed.set(microBatch, [...tensors, ...toNamedTensors({ [name]: tensorFromBytes(dtype, shape, data) })]);
  }
}

/** What the lease's program declares under a stream's title, `<micro-batch>/<result>`. @throws {Dd2Error} PROTOCOL */
function declaredResult({ job, span }: Lease<Job>, title: string): DeclaredResult {
  const [, index = '', name] = /^(\d{1,9})\/(.+)$/.exec(title) ?? [];
  const microBatch = Number(index);
  const result = job.signature.results.find((declared) => declared.name === name);
  if (!result || index === '' || microBatch < span.from || microBatch >= span.to) throw new Dd2Error('PROTOCOL', 'the lease has no such result', { field: title.slice(0, 128) });
  return { ...result, microBatch };
}
