import { Dd2Error } from '@dd2/core';
import { create, createClient, PROTOCOL_VERSION, RunService, WorkerService, WorkerState, HelloSchema, type MessageInitShape } from '@dd2/proto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readFile } from 'node:fs/promises';
import { Coordinator } from '../coordinator.js';
import { Dispatcher, type Job } from '../dispatcher.js';
import type { Lease } from '../lease-table.js';
import { parsePrometheusText, sampleOf } from '../testing/prometheus-text.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { listWorkers } from './list-workers.js';
import { WorkerActivity } from './worker-activity.js';

const millis = (time: { readonly seconds: bigint; readonly nanos: number } | undefined): number => Number(time?.seconds ?? NaN) * 1_000 + (time?.nanos ?? NaN) / 1e6;

async function started() {
  const coordinator = await Coordinator.start({ dataDir: await temporaryFolder(), maxRuns: 3 });
  onTestFinished(() => coordinator.close());
  const client = createClient(RunService, coordinator.address);
  onTestFinished(() => client.close());
  return { coordinator, client };
}

/** Opens a session, and resolves when the coordinator has answered. */
async function join(address: string, hello: MessageInitShape<typeof HelloSchema>) {
  const client = createClient(WorkerService, address);
  const stream = client.control();
  onTestFinished(() => {
    stream.cancel();
    client.close();
  });
  stream.on('error', () => undefined);
  const welcomed = new Promise<void>((resolve) => stream.once('data', () => resolve()));
  stream.write({ message: { case: 'hello', value: { protocolVersion: PROTOCOL_VERSION, capacity: 1, provider: 'cpu', intraOpThreads: 2, ...hello } } });
  await welcomed;
  return stream;
}

describe('listWorkers', () => {
  const job = (more: Partial<Job> = {}): Job => ({
    runId: 'mnist-1.a.12ab', programId: 'p', signature: { name: 'generator', metrics: [], results: [] }, execution: 'cpu', seed: 0, update: 41, firstSample: 0, microBatches: 4, blocks: 'summed', priority: 0, parameters: {}, assets: {}, ...more,
  });

  it('says what workers hold, who is slow, and who is put aside until when', async () => {
    let now = 0;
    const activity = new WorkerActivity(() => now);
    const dispatcher = new Dispatcher({ observer: activity, now: () => now });
    const leases: Lease<Job>[] = [];
    const joins = (name: string): void => {
      activity.joined(name, create(HelloSchema, { name, workerId: name }));
      dispatcher.join(name, { capacity: 1, execution: 'cpu', pool: '' }, { lease: (lease) => leases.push(lease), revoke: () => undefined, forget: () => undefined, putAside: () => undefined });
    };
    const states = (): unknown[] => (listWorkers(activity, dispatcher).workers ?? []).map(({ name, state }) => [name, state]);
    const ended = new AbortController();
    joins('slow');
    const slow = dispatcher.run(job(), ended.signal);
    joins('spare');
    now = 60_001;
    dispatcher.tick();
    const { workers = [] } = listWorkers(activity, dispatcher);
    const held = { runId: 'mnist-1.a', program: 'generator', update: 41, microBatches: 4 };
    expect(workers).toMatchObject([
      { name: 'slow', state: WorkerState.BUSY, straggled: 1n, leases: [{ ...held, heldSeconds: 60.001, backup: false }] },
      { name: 'spare', state: WorkerState.BUSY, straggled: 0n, leases: [{ ...held, heldSeconds: 0, backup: true }] },
    ]);
    ended.abort(new Dd2Error('CANCELLED', 'enough'));
    await expect(slow).rejects.toThrow('enough');
    expect(states()).toEqual([['slow', WorkerState.IDLE], ['spare', WorkerState.IDLE]]);

    // three failures in a row, of two jobs
    dispatcher.leave('slow');
    activity.left('slow');
    const broken = [dispatcher.run(job({ blocks: 'single', microBatches: 1 })), dispatcher.run(job({ blocks: 'single', microBatches: 1, update: 42 }))];
    for (const one of broken) one.catch(() => undefined);
    const before = Date.now();
    for (let failures = 0; failures < 4; failures++) {
      const lease = leases.find(({ id }) => dispatcher.find(id));
      if (lease) dispatcher.failed(lease.id, new Dd2Error('INTERNAL', 'broken'));
    }
    const [spare] = listWorkers(activity, dispatcher).workers ?? [];
    expect(spare).toMatchObject({ state: WorkerState.PUT_ASIDE, leases: [] });
    expect(spare?.leasesFailed).toBeGreaterThanOrEqual(3n);
    const until = millis(spare?.asideUntil as { seconds: bigint; nanos: number } | undefined);
    expect(until).toBeGreaterThanOrEqual(before + 5_000);
    dispatcher.drain('spare');
    expect(states()).toEqual([['spare', WorkerState.DRAINING]]);
    now += 600_000;
    expect(listWorkers(activity, dispatcher).workers?.[0]?.asideUntil).toBeUndefined();
  });
});

describe('a coordinator', () => {
  it('lists the workers that are connected, by name, with what they said of themselves', async () => {
    const { coordinator, client } = await started();
    expect((await client.listWorkers({})).workers).toEqual([]);
    const before = Date.now();
    const b = await join(coordinator.address, { workerId: '2', name: 'b', host: 'far', processId: 7, device: 'H200', provider: 'cuda', pool: 'teacher' });
    await join(coordinator.address, { workerId: '1', name: 'a <b>"\n' });
    const { workers } = await client.listWorkers({});
    expect(workers.map(({ name }) => name)).toEqual(['a <b>"\n', 'b']);
    expect(workers[1]).toMatchObject({ workerId: '2', host: 'far', processId: 7, device: 'H200', provider: 'cuda', intraOpThreads: 2, pool: 'teacher', state: WorkerState.IDLE, leases: [], leasesDone: 0n, leasesFailed: 0n, straggled: 0n, microBatchesPerSecond: 0, busy: 0 });
    expect(workers[1]?.asideUntil).toBeUndefined();
    const joinedAt = millis(workers[1]?.joinedAt);
    expect(joinedAt).toBeGreaterThanOrEqual(before);
    expect(joinedAt).toBeLessThanOrEqual(Date.now());

    // it is heard with whatever it says
    const heard = async (): Promise<number> => millis((await client.listWorkers({})).workers[1]?.lastHeardAt);
    const first = await heard();
    b.write({ message: { case: 'heartbeat', value: { sentAtMs: 1n, busy: false } } });
    while (!((await heard()) > first)) await new Promise((resolve) => setTimeout(resolve, 5));

    b.write({ message: { case: 'leaving', value: {} } });
    const states = async (): Promise<(WorkerState | undefined)[]> => (await client.listWorkers({})).workers.map(({ state }) => state);
    while ((await states())[1] !== WorkerState.DRAINING) await new Promise((resolve) => setTimeout(resolve, 5));
    const families = parsePrometheusText(await coordinator.prometheus.metricsText());
    expect(sampleOf(families, 'dd2_workers_connected')).toBe(2);
    expect(sampleOf(families, 'dd2_workers', { pool: 'teacher', provider: 'cuda', state: 'draining' })).toBe(1);
    expect(sampleOf(families, 'dd2_worker_busy_ratio', { worker: 'a <b>"\n' })).toBe(0);
    b.end();
    while ((await states()).length !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('shows a worker that dials again once', async () => {
    const { coordinator, client } = await started();
    await join(coordinator.address, { workerId: '1', name: 'a', processId: 1 });
    await join(coordinator.address, { workerId: '1', name: 'a', processId: 2 });
    expect((await client.listWorkers({})).workers.map(({ processId }) => processId)).toEqual([2]);
  });

  it('says what it is and how it does', async () => {
    const before = Date.now();
    const { client } = await started();
    const cluster = await client.getCluster({});
    const { version } = JSON.parse(await readFile(new URL('../../../cli/package.json', import.meta.url), 'utf8')) as { version: string };
    expect(cluster).toMatchObject({ version, epoch: 1n, queueStore: 'embedded', queueAvailable: true, maxRuns: 3 });
    expect(cluster.clusterId).toMatch(/^[0-9a-f]{32}$/);
    const [startedAt, now] = [millis(cluster.startedAt), millis(cluster.now)];
    expect(startedAt).toBeGreaterThanOrEqual(before);
    expect(now).toBeGreaterThanOrEqual(startedAt);
    expect(now).toBeLessThanOrEqual(Date.now());
  });
});
