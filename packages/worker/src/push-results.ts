import { Dd2Error, type HostTensor } from '@dd2/core';
import { sendBulk, tensorBytes, type Lease, type ServiceClient, type WorkerService } from '@dd2/proto';

/** Larger tensors would hold up the heartbeats and leases of the stream that the lease's result travels on. */
export const LARGE_RESULT_BYTES = 128 * 1024;

/**
 * Streams the large tensors of a lease's results, one record per micro-batch, and returns those that are left. Each has arrived when
 * this resolves: the result that follows is then complete. @throws {Dd2Error} STALE_LEASE when the coordinator does not want them any more
 */
export async function pushLargeResults(
  lease: Lease,
  results: readonly Readonly<Record<string, HostTensor>>[],
  client: Pick<ServiceClient<typeof WorkerService>, 'pushResult'>,
): Promise<Record<string, HostTensor>[]> {
  const small: Record<string, HostTensor>[] = [];
  for (const [position, record] of results.entries()) {
    const rest: Record<string, HostTensor> = {};
    for (const [name, tensor] of Object.entries(record)) {
      if (tensor.data.byteLength <= LARGE_RESULT_BYTES) rest[name] = tensor;
      else await pushResult(lease, `${lease.firstMicroBatch + position}/${name}`, tensor, client);
    }
    small.push(rest);
  }
  return small;
}

async function pushResult(lease: Lease, name: string, tensor: HostTensor, client: Pick<ServiceClient<typeof WorkerService>, 'pushResult'>): Promise<void> {
  const bytes = tensorBytes(tensor);
  const { stream, response } = client.pushResult();
  response.catch(() => undefined); // awaited below, unless sending has failed before
  const { runId, leaseId, epoch } = lease;
  await sendBulk(stream, { runId, leaseId, epoch, name, totalBytes: bytes.byteLength, dtype: tensor.dtype, shape: tensor.shape }, [bytes]);
  if (!(await response).accepted) throw new Dd2Error('STALE_LEASE', 'the lease has ended before its results were there', { field: name });
}
