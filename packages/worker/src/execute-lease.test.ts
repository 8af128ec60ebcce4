import { Dd2Error, type HostTensor } from '@dd2/core';
import type { EngineResult, EngineTask } from '@dd2/engine';
import { createClient, encodeTensor, fromNamedTensors, tensorFromBytes, tensorId, WorkerService, type Lease } from '@dd2/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { executeLease } from './execute-lease.js';
import { LocalCopies } from './local-copies.js';
import { LARGE_RESULT_BYTES } from './push-results.js';
import { FakeCoordinator } from './testing/fake-coordinator.js';

let coordinator: FakeCoordinator;
let client: ReturnType<typeof createClient<typeof WorkerService>>;
let tasks: EngineTask[];

beforeEach(async () => {
  coordinator = new FakeCoordinator();
  await coordinator.listen();
  client = createClient(WorkerService, coordinator.address);
  tasks = [];
});

afterEach(async () => {
  client.close();
  await coordinator.close();
});

function tensor(elements: number, first = 0): HostTensor<'float32'> {
  return { dtype: 'float32', shape: [elements], data: Float32Array.from({ length: elements }, (_, i) => first + i) };
}

/** Executes a lease of the micro-batches from 4 on, with an engine that returns `results`. */
async function execute(inputs: readonly Readonly<Record<string, HostTensor>>[], results: readonly Record<string, HostTensor>[], { serve = true } = {}) {
  for (const value of inputs.flatMap((record) => Object.values(record))) if (serve) coordinator.contents.set(tensorId(value), encodeTensor(value));
  const engine = {
    execute: async (task: EngineTask): Promise<EngineResult> => {
      tasks.push(task);
      return { metrics: results.map(() => ({})), results: [...results], computeMs: 1, finite: true };
    },
  };
  const copies = Object.assign(new LocalCopies(engine as never), { require: async () => ({ keys: {}, reads: Promise.resolve() }) });
  const bound = inputs.map((record) => ({ tensors: Object.entries(record).map(([name, value]) => ({ name, assetId: tensorId(value) })) }));
  const lease = { leaseId: '1-s', epoch: 7n, runId: 'run', programId: 'p', seed: 3n, update: 4, firstSample: 0, firstMicroBatch: 4, microBatchCount: results.length, parameters: [], assets: [], inputs: bound, expectsGradient: false } as unknown as Lease;
  return executeLease(lease, { engine, copies, source: { client }, exchangeName: '', client, onRefused: () => undefined });
}

describe('a lease', () => {
  it('gives each micro-batch its own inputs', async () => {
    await execute([{ context: tensor(3), logits: tensor(2, 10) }, { context: tensor(3, 5), logits: tensor(2, 20) }], [{}, {}]);
    expect(tasks).toMatchObject([{ microBatches: [{ index: 4, given: { context: tensor(3), logits: tensor(2, 10) } }, { index: 5, given: { context: tensor(3, 5), logits: tensor(2, 20) } }] }]);
  });

  it('fails when an input is gone, or is another one', async () => {
    await expect(execute([{ context: tensor(3) }], [{}], { serve: false })).rejects.toMatchObject({ code: 'STALE_LEASE' });
    coordinator.contents.set(tensorId(tensor(3)), encodeTensor(tensor(3, 1)));
    await expect(execute([{ context: tensor(3) }], [{}], { serve: false })).rejects.toMatchObject({ code: 'PROTOCOL' });
    expect(tasks).toEqual([]);
  });

  it('returns small results in its message and streams the large ones ahead of it', async () => {
    const large = tensor(LARGE_RESULT_BYTES / 4 + 1);
    const fits = tensor(LARGE_RESULT_BYTES / 4);
    const { microBatches } = await execute([], [{ tokens: tensor(2), logits: large }, { tokens: fits, logits: large }]);
    expect(microBatches?.map(({ index, results }) => [index, Object.keys(fromNamedTensors(results as never))])).toEqual([[4, ['tokens']], [5, ['tokens']]]);
    expect(coordinator.results.map(({ header: { name, leaseId, epoch } }) => ({ name, leaseId, epoch }))).toEqual([
      { name: '4/logits', leaseId: '1-s', epoch: 7n },
      { name: '5/logits', leaseId: '1-s', epoch: 7n },
    ]);
    for (const { header, data } of coordinator.results) expect(tensorFromBytes(header.dtype ?? 'bool', header.shape, data)).toEqual(large);
  });

  it('is stale when the coordinator does not want its results any more', async () => {
    coordinator.wanted = false;
    const error = await execute([], [{ logits: tensor(LARGE_RESULT_BYTES) }]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Dd2Error);
    expect(error).toMatchObject({ code: 'STALE_LEASE' });
  });
});
