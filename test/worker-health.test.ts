import { expect, it } from 'vitest';
import { join } from 'node:path';
import { freePort } from './support/cluster.js';
import { eventsOf, eventually, root, runDd2, type Dd2Process } from './support/processes.js';
import { startedProcesses } from './support/started-processes.js';

const { folder, start } = startedProcesses();

interface Health {
  readonly ok: boolean;
  readonly reasons: readonly string[];
}

const probe = async (port: number, path: string): Promise<Health | undefined> => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
  if (!answer) return undefined;
  const health = (await answer.json()) as Health;
  expect(answer.status).toBe(health.ok ? 200 : 503);
  return health;
};

const LIVE = { ok: true, reasons: [] };

it('a worker is ready while work can be leased to it, and alive throughout', { timeout: 300_000 }, async () => {
  const [port, health] = [await freePort(), await freePort()];
  const coordinator = (): Dd2Process => start(['coordinator', '--data-dir', folder(), '--port', String(port)]);
  /** Waits until `/readyz` says this, and looks that the worker is alive all the while. */
  const becomes = (ready: boolean, reason?: string): Promise<true> =>
    eventually(async () => {
      expect((await probe(health, '/healthz')) ?? LIVE).toEqual(LIVE);
      const answer = await probe(health, '/readyz');
      return answer?.ok === ready && (reason === undefined || answer.reasons.includes(reason)) ? true : undefined;
    });

  // everything by the environment, as in a pod
  const environment = { DD2_COORDINATOR: `127.0.0.1:${port}`, DD2_WORKER_NAME: 'probed', DD2_HEALTH_PORT: String(health), DD2_DRAIN_SECONDS: '60', DD2_THREADS: '1', DD2_PROVIDER: 'cpu' };
  const worker = start(['worker', '--data-dir', folder(), '--stream'], environment);
  await becomes(false, 'no coordinator has let this worker in');
  const first = coordinator();
  await becomes(true);

  first.child.kill('SIGKILL');
  await first.exit;
  await becomes(false, 'no coordinator has let this worker in');
  const second = coordinator();
  await second.until(/coordinator at/);
  await becomes(true);

  const tune = '{ updates: 1000, batch: 2048, microBatches: 1, draws: 2, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }'; // seconds each
  const { code } = await runDd2(['run', 'submit', join(root, 'configs/mnist.yaml'), '--server', `127.0.0.1:${port}`, '--data-dir', folder(), '--set', `phases.tune=${tune}`]);
  expect(code).toBe(0);
  await eventually(async () => (await eventsOf(folder())).find(({ kind }) => kind === 'phase'));
  expect(await probe(health, '/readyz')).toEqual(LIVE);
  worker.child.kill('SIGTERM');
  await becomes(false, 'the worker leaves');
  expect(await worker.exit).toBe(0);
  expect(await probe(health, '/healthz')).toBeUndefined();
});
