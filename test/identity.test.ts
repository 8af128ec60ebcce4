import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkpointHashes, childrenOf, metricsOf, root, runDd2, startDd2, temporaryFolder } from './support/processes.js';

/** A short run through every phase, with more micro-batches than workers, so that every worker count cuts it differently. */
const spec = join(root, 'configs/mnist.yaml');
const short = {
  'phases.tune': '{ updates: 5, batch: 16, microBatches: 4, draws: 2, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.regress': '{ pairs: 300, odeSteps: 3, updates: 5, batch: 16, microBatches: 4, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.distill.align': '3',
  'phases.distill.generatorUpdates': '5',
  'phases.distill.guidance.microBatches': '4',
  'phases.distill.guidance.batch': '16',
  'phases.distill.generator.microBatches': '4',
  'phases.distill.generator.batch': '16',
  'evaluation.everyGeneratorUpdates': '2',
  'evaluation.samples': '100',
  'evaluation.finalSamples': '200',
  'checkpoint.everyUpdates': '5',
};
const settings = Object.entries(short).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
const TOTAL = 5 + 5 + 3 + 4 * 5;

describe('who computed it does not matter', { timeout: 240_000 }, () => {
  let reference: Record<string, string>;
  const folders: { dispose(): Promise<void> }[] = [];
  const folder = async (): Promise<string> => {
    const created = await temporaryFolder();
    folders.push(created);
    return created.path;
  };
  const train = (dataDir: string, workers: number, ...more: string[]): string[] => ['train', spec, '--workers', String(workers), '--data-dir', dataDir, ...settings, ...more];

  beforeAll(async () => {
    const dataDir = await folder();
    const { code, output } = await runDd2(train(dataDir, 2));
    expect(output).toContain(`done after ${TOTAL}`);
    expect(code).toBe(0);
    reference = await checkpointHashes(dataDir, TOTAL);
    expect(Object.keys(reference)).toEqual(['generator.safetensors', 'generator_ema.safetensors', 'guidance.safetensors', 'optimizer.safetensors']);
    const metrics = await metricsOf(dataDir);
    expect(metrics.map(({ update }) => update)).toEqual(Array.from({ length: TOTAL }, (_, update) => update));
    expect(metrics.every(({ committed }) => committed === true)).toBe(true);
  }, 240_000);

  afterAll(async () => {
    for (const created of folders) await created.dispose();
  });

  it.each([1, 3])('gives the same bits with %i workers', async (workers) => {
    const dataDir = await folder();
    expect((await runDd2(train(dataDir, workers))).code).toBe(0);
    expect(await checkpointHashes(dataDir, TOTAL)).toEqual(reference);
  });

  it('gives the same bits when a worker is killed half-way', async () => {
    const dataDir = await folder();
    const run = startDd2(train(dataDir, 2));
    await run.until(/align/);
    const victim = (await childrenOf(run.child.pid ?? 0))[0];
    expect(victim).toBeDefined();
    process.kill(victim ?? 0, 'SIGKILL');
    expect(await run.exit).toBe(0);
    expect(run.output()).toContain('SIGKILL');
    expect(await checkpointHashes(dataDir, TOTAL)).toEqual(reference);
  });

  it('gives the same bits when it is paused, interrupted, killed, and continued with other workers', async () => {
    const dataDir = await folder();
    expect((await runDd2(train(dataDir, 1, '--until-update', '8'))).code).toBe(0);
    expect(Object.keys(await checkpointHashes(dataDir, 8))).toHaveLength(4);
    const interrupted = startDd2(train(dataDir, 1));
    await interrupted.until(/align/);
    interrupted.child.kill('SIGINT');
    expect(await interrupted.exit).toBe(130);
    expect(interrupted.output()).toMatch(/^paused after \d+ of/m);
    const killed = startDd2(train(dataDir, 2));
    await killed.until(/distill/);
    killed.child.kill('SIGKILL');
    await killed.exit;
    expect((await runDd2(train(dataDir, 2))).code).toBe(0);
    expect(await checkpointHashes(dataDir, TOTAL)).toEqual(reference);
    const updates = (await metricsOf(dataDir)).map(({ update }) => update);
    expect(updates).toEqual(Array.from({ length: TOTAL }, (_, update) => update));
  });

  it('gives the same bits when workers stream instead of sharing memory', async () => {
    const dataDir = await folder();
    const coordinator = startDd2(['coordinator', '--data-dir', dataDir, '--port', '0']);
    const [, address = ''] = await coordinator.until(/coordinator at (\S+)/);
    const workers = [0, 1].map(() => startDd2(['worker', '--coordinator', address, '--data-dir', dataDir, '--stream']));
    const { code, output } = await runDd2(['run', 'submit', spec, '--server', address, '--data-dir', dataDir, ...settings]);
    expect(output).toMatch(/mnist-/);
    expect(code).toBe(0);
    const runId = /mnist-[0-9a-f]+/.exec(output)?.[0] ?? '';
    expect((await runDd2(['run', 'watch', runId, '--server', address, '--data-dir', dataDir])).code).toBe(0);
    expect(await checkpointHashes(dataDir, TOTAL)).toEqual(reference);
    for (const process of [...workers, coordinator]) process.child.kill('SIGTERM');
    for (const process of [...workers, coordinator]) await process.exit;
    expect(JSON.parse(await readFile(join(dataDir, 'runs', runId, 'evaluations', `${TOTAL}-final.json`), 'utf8'))).toMatchObject({ samples: 200, sampler: 'one-step' });
  });
});
