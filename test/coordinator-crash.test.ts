import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Cluster, freePort } from './support/cluster.js';
import { checkpointHashes, eventsOf, eventually, fidsOf, metricsOf, root, runDd2, temporaryFolder } from './support/processes.js';

const spec = join(root, 'configs/chaos.yaml');
const settings = ['--set', 'checkpoint.everyUpdates=10', '--set', 'phases.tune.updates=40', '--set', 'phases.regress.updates=40', '--set', 'phases.distill.generatorUpdates=30', '--set', 'evaluation.everyGeneratorUpdates=10'];
const TOTAL = 40 + 40 + 20 + 4 * 30;

/** What a coordinator leaves behind when it dies is enough for the next one to end with the same bits. */
describe('a coordinator that dies', { timeout: 300_000 }, () => {
  let reference: { readonly hashes: Record<string, string>; readonly fids: Record<string, number> };
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const clusters: Cluster[] = [];

  beforeAll(async () => {
    const undisturbed = await temporaryFolder();
    const { code, output } = await runDd2(['train', spec, ...settings, '--workers', '2', '--data-dir', undisturbed.path]);
    expect(code, output).toBe(0);
    reference = { hashes: await checkpointHashes(undisturbed.path, TOTAL), fids: await fidsOf(undisturbed.path) };
    expect(Object.keys(reference.hashes)).toHaveLength(4);
    expect(Object.keys(reference.fids)).toEqual(expect.arrayContaining(['40', '80', String(TOTAL), `${TOTAL}-final`]));
    await undisturbed.dispose();
  }, 120_000);

  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    for (const cluster of clusters.splice(0)) await cluster.dispose();
    await folder.dispose();
  });

  const start = async (workers: number): Promise<Cluster> => {
    const cluster = await Cluster.start({ dataDir: folder.path, workers });
    clusters.push(cluster);
    return cluster;
  };

  const expectUndisturbed = async (runId: string): Promise<void> => {
    expect(await checkpointHashes(folder.path, TOTAL, runId)).toEqual(reference.hashes);
    expect(await fidsOf(folder.path, runId)).toEqual(reference.fids);
    expect((await metricsOf(folder.path, runId)).map(({ update }) => update)).toEqual(Array.from({ length: TOTAL }, (_, update) => update));
    const kinds = (await eventsOf(folder.path, runId)).map(({ kind }) => kind);
    for (const kind of ['submitted', 'completed']) expect(kinds.filter((other) => other === kind)).toHaveLength(1);
  };

  /** Moments of a run, as its folder shows them. */
  const moments: readonly [string, (folder: string, runId: string) => Promise<boolean> | boolean][] = [
    ['when the run is submitted', () => true],
    ['in tune', async (_, runId) => (await lastUpdate(runId)) >= 5],
    ['while a checkpoint is written', (path) => readdirSync(join(path, 'checkpoints')).some((name) => !/^\d+$/.test(name))],
    ['while the targets of regress are computed', async (path, runId) => (await phases(runId)).includes('regress') && !existsSync(join(path, 'targets.safetensors'))],
    ['in regress', async (_, runId) => (await lastUpdate(runId)) >= 45],
    ['while an evaluation is measured', (path) => readdirSync(join(path, 'evaluations')).some((name) => /^\d+\.request\.json$/.test(name))],
    ['in align', async (_, runId) => (await lastUpdate(runId)) >= 85],
    ['in distill', async (_, runId) => (await lastUpdate(runId)) >= 120],
    ['at a checkpoint in distill', (path) => readdirSync(join(path, 'checkpoints')).some((name) => Number(name) >= 150)],
    ['while the last evaluation is measured', (path) => existsSync(join(path, 'evaluations', `${TOTAL}-final.request.json`))],
  ];
  const lastUpdate = async (runId: string): Promise<number> => Number((await metricsOf(folder.path, runId)).at(-1)?.['update'] ?? -1);
  const isOver = async (runId: string): Promise<boolean> => ['completed', 'failed'].includes(String((await eventsOf(folder.path, runId)).at(-1)?.['state']));
  const phases = async (runId: string): Promise<unknown[]> => (await eventsOf(folder.path, runId)).map(({ phase }) => phase);

  it('is replaced by one that ends with the same bits, whenever it dies', async () => {
    const cluster = await start(2);
    const runId = await cluster.run('submit', spec, ...settings);
    const path = join(folder.path, 'runs', runId);
    const struck: string[] = [];
    for (const [name, isNow] of moments) {
      const found = await eventually(async () => ((await isNow(path, runId)) ? 'now' : (await isOver(runId)) ? 'too late' : undefined), 1);
      if (found === 'too late') break;
      await cluster.crash();
      struck.push(name);
      await cluster.ready();
    }
    expect(struck).toEqual(moments.map(([name]) => name));
    expect(await cluster.ended(runId)).toBe('completed');
    await expectUndisturbed(runId);
  });

  it('is replaced also when its successors die before they have done anything', async () => {
    const cluster = await start(1);
    const runId = await cluster.run('submit', spec, ...settings);
    await eventually(async () => ((await lastUpdate(runId)) >= 15 ? true : undefined));
    for (const pattern of [/./, /./, /coordinator at/]) {
      await cluster.crash();
      await cluster.coordinator.until(pattern);
    }
    expect(await cluster.ended(runId)).toBe('completed');
    await expectUndisturbed(runId);
  });

  it('is not replaced while it lives: a second one on the data folder is refused', async () => {
    const cluster = await start(2);
    const runId = await cluster.run('submit', spec, ...settings);
    await eventually(async () => ((await lastUpdate(runId)) >= 5 ? true : undefined));
    const second = await runDd2(['coordinator', '--data-dir', folder.path, '--port', String(await freePort())]);
    expect(second.code).toBe(6);
    expect(second.output).toMatch(new RegExp(`^error RUN_CONFLICT: .*\\b${cluster.coordinator.child.pid}\\b.*${folder.path}`, 'm'));
    expect(await cluster.ended(runId)).toBe('completed');
    await expectUndisturbed(runId);
  });

  it('that was only frozen finds itself replaced, and commits nothing any more', async () => {
    const first = await start(1);
    const runId = await first.run('submit', spec, ...settings);
    await eventually(async () => ((await lastUpdate(runId)) >= 15 ? true : undefined));
    first.coordinator.child.kill('SIGSTOP');
    const stalled = await lastUpdate(runId);
    const second = await start(1);
    await eventually(async () => ((await eventsOf(folder.path, runId)).filter(({ kind }) => kind === 'started').length > 1 && (await lastUpdate(runId)) > stalled ? true : undefined));
    first.coordinator.child.kill('SIGCONT');
    expect(await first.coordinator.exit).toBe(6);
    expect(first.coordinator.output()).toMatch(/^error FENCED: /m);
    expect(await second.ended(runId)).toBe('completed');
    await expectUndisturbed(runId);
    const manifest = JSON.parse(await readFile(join(folder.path, 'runs', runId, 'checkpoints', String(TOTAL), 'manifest.json'), 'utf8')) as Record<string, unknown>;
    expect(Number(manifest['epoch'])).toBe(2);
  });

  it('leaves a paused run paused, and resumes it when it is told to', async () => {
    const cluster = await start(1);
    const runId = await cluster.run('submit', spec, ...settings);
    await eventually(async () => ((await lastUpdate(runId)) >= 5 ? true : undefined));
    expect(await cluster.run('pause', runId)).toMatch(/ paus(ing|ed)$/);
    expect(await cluster.ended(runId)).toBe('paused');
    await cluster.crash();
    await cluster.ready();
    expect(await cluster.run('show', runId)).toMatch(/^state +paused$/m);
    expect(await cluster.run('resume', runId)).toMatch(/ (queued|running)$/);
    await eventually(async () => ((await eventsOf(folder.path, runId)).at(-1)?.['state'] === 'completed' ? true : undefined));
    await expectUndisturbed(runId);
  });
});
