import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { childrenOf, eventsOf, eventually, metricsOf, root, runDd2, startDd2, temporaryFolder, type Dd2Process } from './support/processes.js';

const spec = join(root, 'configs/mnist.yaml');
/** A second signal within half a second counts as the first one. */
const ANOTHER_SIGNAL_MS = 600;
/** What a container is made of, as far as it matters here: the command is process 1. */
const container = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'] as const;
const containers = process.platform === 'linux' && spawnSync(container[0], [...container.slice(1), 'true']).status === 0;

describe('a worker that is told to leave', { timeout: 400_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let coordinator: Dd2Process;
  let address = '';
  const workers: Dd2Process[] = [];

  beforeEach(async () => {
    folder = await temporaryFolder();
    coordinator = startDd2(['coordinator', '--data-dir', folder.path, '--port', '0']);
    [, address = ''] = await coordinator.until(/coordinator at (\S+)/);
  });

  afterEach(async () => {
    for (const { child } of [...workers, coordinator]) child.kill('SIGKILL');
    for (const { exit } of [...workers.splice(0), coordinator]) await exit;
    await folder.dispose();
  });

  const worker = (...more: string[]): Dd2Process => workerThrough([], ...more);
  const workerThrough = (through: readonly string[], ...more: string[]): Dd2Process => {
    const started = startDd2(['worker', '--coordinator', address, '--data-dir', folder.path, ...more], {}, through);
    workers.push(started);
    return started;
  };

  /** Submits a run whose tuning updates have this batch, in one micro-batch each. */
  const submit = async (batch: number): Promise<void> => {
    const tune = `{ updates: 1000, batch: ${batch}, microBatches: 1, draws: 2, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }`;
    const { code } = await runDd2(['run', 'submit', spec, '--server', address, '--data-dir', folder.path, '--set', `phases.tune=${tune}`]);
    expect(code).toBe(0);
  };

  it('finishes its lease, says goodbye, and the run goes on without it', async () => {
    const leaving = worker('--name', 'leaving', '--stream');
    await submit(16);
    await eventually(async () => (await metricsOf(folder.path).catch(() => [])).length >= 5 || undefined);
    leaving.child.kill('SIGTERM');
    expect(await leaving.exit).toBe(0);
    await eventually(async () => (await eventsOf(folder.path)).find(({ kind, message }) => kind === 'waiting' && /waits for a worker/.test(String(message))));
    expect(coordinator.output()).not.toMatch(/a lease failed|a worker session broke/);
    const before = (await metricsOf(folder.path)).length;
    worker();
    await eventually(async () => (await metricsOf(folder.path)).length > before || undefined);
  });

  it.each<[string, string[], number]>([
    ['its time to drain is over', ['--drain-seconds', '1'], 1],
    ['it is told so again', [], 2],
  ])('leaves its lease to others when %s', async (_, options, signals) => {
    const leaving = worker('--verbose', ...options);
    await leaving.until(/connected/);
    await submit(8_192); // many seconds
    await eventually(async () => (await eventsOf(folder.path)).find(({ kind }) => kind === 'phase'));
    await delay(1_000); // the lease is out, and pulled
    const ended = once(leaving.child, 'exit');
    for (let signal = 0; signal < signals; signal++) {
      leaving.child.kill('SIGTERM');
      await delay(ANOTHER_SIGNAL_MS);
    }
    expect((await ended)[1], 'the engine still computed').toBe('SIGKILL');
    expect(await metricsOf(folder.path)).toEqual([]);
    worker();
    await eventually(async () => (await metricsOf(folder.path)).find(({ committed }) => committed === true), 200);
  });

  it.skipIf(!containers)('ends in time as the first process of a container too, which no signal of its own can end', async () => {
    const leaving = workerThrough([...container, '--'], '--verbose', '--drain-seconds', '1');
    await leaving.until(/connected/);
    await submit(8_192); // many seconds
    await eventually(async () => (await eventsOf(folder.path)).find(({ kind }) => kind === 'phase'));
    await delay(1_000); // the lease is out, and pulled
    const [first = 0] = await childrenOf(leaving.child.pid ?? 0);
    const ended = once(leaving.child, 'exit');
    process.kill(first, 'SIGTERM');
    expect((await ended)[1], 'an exit would have waited for the engine').toMatch(/^SIG/);
    expect(await metricsOf(folder.path)).toEqual([]);
    await leaving.exit;
    expect(leaving.output().trim().split('\n').every((line) => line.startsWith('{')), leaving.output()).toBe(true);
  });

  it.skipIf(!containers)('goes at once, as the first process of a container, when it has not come to listen yet', async () => {
    const waiting = startDd2(['kubernetes', 'await', '--file', join(folder.path, 'never')], {}, [...container, '--']);
    workers.push(waiting);
    await waiting.until(/waiting for/);
    const [first = 0] = await childrenOf(waiting.child.pid ?? 0);
    process.kill(first, 'SIGTERM');
    expect(await waiting.exit).toBe(143);
  });
});
