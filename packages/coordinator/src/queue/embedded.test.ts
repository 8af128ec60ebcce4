import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll } from 'vitest';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { QueueStore } from './queue-store.js';
import { queueConformance } from './testing/conformance.js';

const logger = pino({ level: 'silent' });
const open = (dataDir: string, epoch: bigint): Promise<QueueStore> => QueueStore.open({ dataDir, clusterId: 'test', epoch, logger });

/** An empty store in files, made once: to make one takes longer than to copy it. */
let pristine: Promise<string> | undefined;
async function makePristine(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dd2-queue-'));
  await (await open(folder, 0n)).close();
  return folder;
}
afterAll(async () => {
  if (pristine) await rm(await pristine, { recursive: true, force: true });
});

queueConformance('embedded', async () => {
  const dataDir = await temporaryFolder();
  await cp(join(await (pristine ??= makePristine()), 'queue'), join(dataDir, 'queue'), { recursive: true });
  return (epoch) => open(dataDir, epoch);
});
