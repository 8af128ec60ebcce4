import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FarMachine, noFarMachines, type Cut } from './support/far-machine.js';
import { checkpointHashes, eventsOf, eventually, metricsOf, root, runDd2, startDd2, temporaryFolder, type Dd2Process } from './support/processes.js';

/** How long the cables are cut. */
const CUT_MS = 20_000;
/** All at the same time, each on a machine of its own. */
const cuts: readonly Cut[] = ['both ways', 'from here', 'to here'];
/** A worker here, and one behind each cable. */
const WORKERS = 1 + cuts.length;

const spec = join(root, 'configs/mnist.yaml');
const short = {
  'phases.tune': '{ updates: 5, batch: 16, microBatches: 8, draws: 2, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.regress': '{ pairs: 300, odeSteps: 3, updates: 5, batch: 16, microBatches: 8, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.distill.align': '3',
  'phases.distill.generatorUpdates': '100000', // it is paused long before
  'phases.distill.guidance.microBatches': '8',
  'phases.distill.guidance.batch': '16',
  'phases.distill.generator.microBatches': '8',
  'phases.distill.generator.batch': '16',
  'evaluation.everyGeneratorUpdates': '100000',
  'evaluation.samples': '100',
  'checkpoint.everyUpdates': '1000',
};
const settings = Object.entries(short).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
const reason = noFarMachines();

describe.skipIf(reason !== undefined)(`workers behind a cable that is cut${reason === undefined ? '' : ` (${reason})`}`, { timeout: 400_000 }, () => {
  const machines = new Map<Cut, FarMachine>();
  const processes: Dd2Process[] = [];
  let disturbed: Awaited<ReturnType<typeof temporaryFolder>>;
  let undisturbed: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    [disturbed, undisturbed] = [await temporaryFolder(), await temporaryFolder()];
    for (const cut of cuts) machines.set(cut, await FarMachine.create());
  });

  afterAll(async () => {
    for (const { child } of processes) child.kill('SIGKILL');
    for (const { exit } of processes) await exit;
    for (const machine of machines.values()) await machine.remove();
    for (const folder of [disturbed, undisturbed]) await folder.dispose();
  });

  const start = (process: Dd2Process): Dd2Process => {
    processes.push(process);
    return process;
  };

  it(`for ${CUT_MS / 1000} s, both ways or one way, change no bit of the run, and no update is committed twice`, async () => {
    const dataDir = disturbed.path;
    const coordinator = start(startDd2(['coordinator', '--data-dir', dataDir, '--host', '0.0.0.0', '--insecure', '--port', '0']));
    const [, port = ''] = await coordinator.until(/coordinator at \S+:(\d+)/);
    const connection = (host: string): string[] => ['--coordinator', `${host}:${port}`, '--data-dir', dataDir, '--insecure'];
    start(startDd2(['worker', ...connection('127.0.0.1'), '--name', 'here']));
    for (const [cut, machine] of machines) start(machine.start(['worker', ...connection(machine.here), '--stream', '--name', `cut ${cut}`]));

    const client = ['--server', `127.0.0.1:${port}`, '--data-dir', dataDir];
    const submitted = await runDd2(['run', 'submit', spec, ...client, ...settings]);
    expect(submitted.code).toBe(0);
    const runId = /mnist-[0-9a-f]+/.exec(submitted.output)?.[0] ?? '';

    /** Resolves when an update was committed by so many workers, after all that are committed now. */
    const updateWith = async (workers: number): Promise<void> => {
      const before = (await metricsOf(dataDir)).length;
      await eventually(async () => (await metricsOf(dataDir)).slice(before).find((update) => update['workers'] === workers), 200);
    };
    await updateWith(WORKERS);
    for (const [cut, machine] of machines) await machine.cut(cut);
    const over = delay(CUT_MS);
    await updateWith(1);
    await over;
    await updateWith(1);
    for (const machine of machines.values()) await machine.heal();
    await updateWith(WORKERS);

    expect((await runDd2(['run', 'pause', runId, ...client])).code).toBe(0);
    await eventually(async () => (await eventsOf(dataDir)).find(({ kind }) => kind === 'paused'), 200);
    for (const cut of cuts) {
      const mentions = [...coordinator.output().matchAll(new RegExp(`.*"worker":"cut ${cut}".*"msg":"worker (joined|left)".*`, 'g'))].map(([, change]) => change);
      expect(mentions.slice(0, 3), `the worker that was cut ${cut}`).toEqual(['joined', 'left', 'joined']);
    }
    const metrics = await metricsOf(dataDir);
    expect(metrics.map(({ update }) => update)).toEqual(Array.from({ length: metrics.length }, (_, update) => update));
    expect(metrics.every(({ committed }) => committed === true)).toBe(true);
    const hashes = await checkpointHashes(dataDir, metrics.length);
    expect(Object.keys(hashes)).toHaveLength(4);

    const reference = await runDd2(['train', spec, '--workers', '2', '--data-dir', undisturbed.path, '--until-update', String(metrics.length), ...settings]);
    expect(reference.code).toBe(0);
    expect(hashes).toEqual(await checkpointHashes(undisturbed.path, metrics.length));
  });
});
