import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { QueueStore } from './queue-store.js';
import { Recorder, type Data } from './testing/recorder.js';
import { RedisServer, redisInstalled } from './testing/redis-server.js';

const logger = pino({ level: 'silent' });
const holder = fileURLToPath(new URL('../../dist/queue/testing/job-holder.js', import.meta.url));

/** Starts a process that takes job `a` while `b` waits, and kills it, or stops it as if it hung. */
async function loseProcess(signal: 'SIGKILL' | 'SIGSTOP', dataDir: string, redisUrl?: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, dataDir, '1', ...(redisUrl === undefined ? [] : [redisUrl])], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(line.toString()).toBe('took a\n');
  child.kill(signal);
  if (signal === 'SIGKILL') await once(child, 'exit');
  return child;
}

/** Both jobs come at once to the next coordinator, and go on coming when the lost process wakes up again. */
async function expectBothAgain(lost: ChildProcess, dataDir: string, redisUrl?: string): Promise<void> {
  const recorder = new Recorder();
  const store = await QueueStore.open({ dataDir, redisUrl, clusterId: 'test', epoch: 2n, logger });
  onTestFinished(() => store.close(0));
  expect(store.state).toBe('up');
  const queue = store.queue<Data>('runs', recorder.processing());
  await queue.reconcile([
    { id: 'a', data: { value: 1 }, priority: 1 },
    { id: 'b', data: { value: 1 }, priority: 0 },
  ]);
  await recorder.until(() => recorder.came.length === 2);
  expect(recorder.came).toEqual(['a/1', 'b/1']);
  lost.kill('SIGCONT');
  for (let n = 0; n < 20; n++) {
    await queue.ensure({ id: `later ${n}`, data: { value: n }, priority: 0 });
    await recorder.until(() => recorder.came.length === 3 + n);
  }
  expect(await queue.waiting()).toEqual([]);
}

describe('a job whose process is lost', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)('comes again from the embedded store after %s', async (signal) => {
    const dataDir = await temporaryFolder();
    await expectBothAgain(await loseProcess(signal, dataDir), dataDir);
  });

  it.skipIf(!redisInstalled).each(['SIGKILL', 'SIGSTOP'] as const)('comes again from Redis after %s', async (signal) => {
    const server = await RedisServer.start();
    onTestFinished(() => server.kill());
    await expectBothAgain(await loseProcess(signal, 'unused', server.url), 'unused', server.url);
  });
});
