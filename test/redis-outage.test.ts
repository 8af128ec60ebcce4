import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cluster } from './support/cluster.js';
import { eventually, eventsOf, fidsOf, metricsOf, root, temporaryFolder } from './support/processes.js';
import { isInstalled, RedisServer } from './support/redis.js';

/** How long the queue store is away. */
const OUTAGE_MS = 1_000 * Number(process.env['DD2_TEST_OUTAGE_SECONDS'] ?? 6);

const spec = join(root, 'configs/chaos.yaml');
/** longer than any outage: it is paused when it has been seen to go on */
const endless = ['--set', 'name=endless', '--set', 'phases.tune.updates=1000000'];
const short = (name: string): string[] => ['--set', `name=${name}`, '--set', 'phases.tune.updates=5', '--set', 'phases.regress.updates=5', '--set', 'phases.distill.generatorUpdates=4', '--set', 'evaluation.everyGeneratorUpdates=2'];

describe.skipIf(!isInstalled('redis-server'))('an outage of the queue store in the middle of a run', { timeout: 120_000 + 2 * OUTAGE_MS }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let redis: RedisServer;
  let cluster: Cluster;

  beforeEach(async () => {
    folder = await temporaryFolder();
    redis = await RedisServer.start();
    cluster = await Cluster.start({ dataDir: folder.path, workers: 1, environment: { DD2_REDIS_URL: redis.url } });
  }, 60_000);
  afterEach(async () => {
    await cluster.dispose();
    await redis.dispose();
    await folder.dispose();
  });

  const committed = async (runId: string): Promise<number> => (await metricsOf(folder.path, runId)).length;
  /** Resolves when a run has committed `more` updates from now on. */
  const goesOn = async (runId: string, more: number): Promise<void> => {
    const before = await committed(runId);
    await eventually(async () => ((await committed(runId)) >= before + more ? true : undefined));
  };

  it.each([
    ['comes back with its data', false],
    ['comes back empty', true],
  ])('costs the run nothing, and the queues are consumed again when it %s', async (_, empty) => {
    const running = await cluster.run('submit', spec, ...endless);
    const before = await cluster.run('submit', spec, ...short('before'));
    await goesOn(running, 10);

    await redis.kill();
    await goesOn(running, 5); // whatever was on its way when it died
    await delay(OUTAGE_MS);
    await goesOn(running, 5);
    // What is asked for meanwhile is kept, and done afterwards.
    const during = await cluster.run('submit', spec, ...short('during'));
    expect(await cluster.run('list')).toMatch(new RegExp(`${during} +queued`));

    if (empty) await redis.loseFiles();
    await redis.start();
    const after = await cluster.run('submit', spec, ...short('after'));
    await goesOn(running, 5);
    expect((await eventsOf(folder.path, running)).filter(({ kind }) => kind === 'started')).toHaveLength(1);

    await cluster.run('pause', running);
    expect(await cluster.ended(running)).toBe('paused');
    for (const runId of [before, during, after]) {
      expect(await cluster.ended(runId)).toBe('completed');
      const total = await committed(runId);
      expect(Object.keys(await fidsOf(folder.path, runId))).toContain(`${total}-final`);
    }
    const updates = (await metricsOf(folder.path, running)).map(({ update }) => update);
    expect(updates).toEqual(updates.map((_update, index) => index));
  });
});
