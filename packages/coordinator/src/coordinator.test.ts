import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createClient, PROTOCOL_VERSION, receiveBytes, RunService, WorkerService } from '@dd2/proto';
import { expect, it, onTestFinished } from 'vitest';
import { Coordinator } from './coordinator.js';
import { LocalExchange } from './local-exchange.js';
import { temporaryFolder } from './testing/temporary-folder.js';

async function started(port = 0): Promise<{ readonly coordinator: Coordinator; readonly dataDir: string }> {
  const dataDir = await temporaryFolder();
  const coordinator = await Coordinator.start({ dataDir, port });
  onTestFinished(() => coordinator.close());
  return { coordinator, dataDir };
}

it('answers people and their tools with typed errors', async () => {
  const { coordinator } = await started();
  const client = createClient(RunService, coordinator.address);
  onTestFinished(() => client.close());
  expect((await client.listRuns({})).runs).toEqual([]);
  await expect(client.getRun({ runId: 'none' })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND', field: 'run_id' });
  await expect(client.pauseRun({ runId: '../..' })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  await expect(client.submitRun({ specYaml: 'name: x', basePath: resolve('.') })).rejects.toMatchObject({ code: 'INVALID_SPEC' });
  const watched = (async () => {
    for await (const _ of client.watchRun({ runId: 'none' }));
  })();
  await expect(watched).rejects.toMatchObject({ code: 5 }); // a stream fails with the status itself: NOT_FOUND
});

it('gives workers a session, and lets go of them when it closes', async () => {
  const { coordinator } = await started();
  const client = createClient(WorkerService, coordinator.address);
  onTestFinished(() => client.close());
  const stream = client.control();
  stream.write({ message: { case: 'hello', value: { workerId: 'w', name: 'w', protocolVersion: PROTOCOL_VERSION } } });
  const heard: (string | undefined)[] = [];
  for await (const { message } of stream) {
    heard.push(message.case);
    if (message.case === 'welcome') {
      await expect(receiveBytes(client.getAsset({ assetId: 'none' }), { maxBytes: 1 })).rejects.toMatchObject({ code: 'STALE_LEASE' });
      void coordinator.close();
    }
  }
  expect(heard).toEqual(['welcome', 'shutdown']);
});

it('leaves nothing behind when its port is taken', async () => {
  const { coordinator } = await started();
  const dataDir = await temporaryFolder();
  const exchange = await LocalExchange.open(dataDir); // tells where this process has it for that data folder
  await exchange.close();
  await expect(Coordinator.start({ dataDir, port: Number(coordinator.address.split(':')[1]) })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(access(exchange.folder)).rejects.toThrow('ENOENT');
});
