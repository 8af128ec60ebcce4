import { cp, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { QueueStore } from './queue-store.js';
import { Recorder, recordingLogger, type Data } from './testing/recorder.js';

const job = (id: string) => ({ id, data: { value: 1 }, priority: 0 });

/** A copy of a store that a coordinator has left with a job in it. */
async function leftStore(): Promise<{ readonly dataDir: string; readonly folder: string }> {
  const dataDir = await temporaryFolder();
  await cp(left, dataDir, { recursive: true });
  return { dataDir, folder: join(dataDir, 'queue/epoch-1-closed') };
}

let left: string;
beforeAll(async () => {
  left = await mkdtemp(join(tmpdir(), 'dd2-queue-'));
  const { logger } = recordingLogger();
  const store = await QueueStore.open({ dataDir: left, clusterId: 'test', epoch: 1n, logger });
  const recorder = new Recorder().process(() => {
    throw new Error('not now');
  });
  const queue = store.queue<Data>('runs', recorder.processing({ backoffMs: 600_000 }));
  await queue.ensure(job('a'));
  await recorder.until(() => recorder.retried.length === 1);
  while ((await queue.waiting()).length === 0) await delay(20);
  await store.close();
}, 60_000);
afterAll(() => rm(left, { recursive: true, force: true }));

async function files(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('a damaged embedded store', () => {
  it.each([
    ['all tables cut to half', async (folder: string) => {
      for (const file of await files(join(folder, 'base'))) await truncate(file, Math.floor((await stat(file)).size / 2));
    }],
    ['no control file', (folder: string) => rm(join(folder, 'global/pg_control'))],
    ['a torn control file', (folder: string) => truncate(join(folder, 'global/pg_control'), 100)],
    ['all files empty', async (folder: string) => {
      for (const file of await files(folder)) await truncate(file, 0);
    }],
    ['something else in its place', async (folder: string) => {
      await rm(folder, { recursive: true });
      await writeFile(folder, 'not a folder');
    }],
  ])('is set aside and made anew: %s', async (_name, damage) => {
    const { dataDir, folder } = await leftStore();
    await damage(folder);
    const { logger, lines } = recordingLogger();
    const store = await QueueStore.open({ dataDir, clusterId: 'test', epoch: 2n, logger });
    onTestFinished(() => store.close(0));
    const recorder = new Recorder();
    const queue = store.queue<Data>('runs', recorder.processing());
    await expect.poll(() => store.state, { timeout: 50_000 }).toBe('up');
    await queue.reconcile([job('a')]);
    await recorder.until(() => recorder.came.length > 0);
    expect(recorder.came).toEqual(['a/1']);
    expect(lines.filter((line) => line.includes('damaged'))).toHaveLength(1);
    expect((await readdir(join(dataDir, 'queue'))).map((name) => name.slice(0, 7)).sort()).toEqual(['damaged', 'epoch-2']);
  });

  it('is none: the attempts are remembered', async () => {
    const { dataDir } = await leftStore();
    const { logger, lines } = recordingLogger();
    const store = await QueueStore.open({ dataDir, clusterId: 'test', epoch: 2n, logger });
    onTestFinished(() => store.close(0));
    const recorder = new Recorder();
    store.queue<Data>('runs', recorder.processing());
    await recorder.until(() => recorder.came.length === 1);
    expect(recorder.came).toEqual(['a/2']);
    expect(lines.filter((line) => line.includes('damaged'))).toEqual([]);
  });
});
