import { once } from 'node:events';
import { Client, credentials } from '@grpc/grpc-js';
import { Dd2Error } from '@dd2/core';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient } from './client.js';
import { RunService, RunState } from './gen/dd2/v1/run_pb.js';
import type { ControlRequest } from './gen/dd2/v1/worker_pb.js';
import type { Handlers } from './rpc-types.js';
import { createServer } from './server.js';
import { fromStatus } from './status.js';
import { gate, startWorkerService } from './testing/worker-service.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const unused = (): Promise<never> => Promise.reject(new Error('not expected'));

async function runService(handlers: Partial<Handlers<typeof RunService>>, maxMessageBytes?: number) {
  const server = createServer({ maxMessageBytes });
  const others = Object.fromEntries(RunService.methods.map(({ localName }) => [localName, unused])) as unknown as Handlers<typeof RunService>;
  server.add(RunService, { ...others, ...handlers });
  const port = await server.listen('127.0.0.1:0');
  const client = createClient(RunService, `127.0.0.1:${port}`, { metadata: { authorization: 'Bearer x' }, maxMessageBytes });
  closers.push(() => server.close(), () => client.close());
  return { server, client, port };
}

describe('unary calls', () => {
  it('take plain objects and answer messages; handlers see metadata and peer', async () => {
    const seen: unknown[] = [];
    const { client } = await runService({
      submitRun: async (request, { metadata, peer }) => {
        seen.push(request.specYaml, request.overrides, metadata.get('authorization'), metadata.get('x'), peer.split(':')[0]);
        return { run: { runId: 'r1', state: RunState.QUEUED, lastFid: 0 } };
      },
    });
    const { run } = await client.submitRun({ specYaml: 'name: größe', overrides: ['a=1'] }, { metadata: { x: 'y' } });
    expect(run).toMatchObject({ runId: 'r1', state: RunState.QUEUED, lastFid: 0 });
    expect(run?.bestFid).toBeUndefined();
    expect(seen).toEqual(['name: größe', ['a=1'], ['Bearer x'], ['y'], '127.0.0.1']);
  });

  it('carry typed errors', async () => {
    const { client } = await runService({
      getRun: async ({ runId }) => {
        throw new Dd2Error('RUN_NOT_FOUND', `there is no run "${runId}"`, { field: 'run_id', remedy: 'List the runs with dd2 list' });
      },
      pauseRun: () => {
        throw new RangeError('thrown before there is a promise');
      },
    });
    const failure = await client.getRun({ runId: 'ü' }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Dd2Error);
    expect(failure).toMatchObject({ code: 'RUN_NOT_FOUND', field: 'run_id', remedy: 'List the runs with dd2 list', message: 'there is no run "ü" (run_id). List the runs with dd2 list' });
    await expect(client.pauseRun({})).rejects.toMatchObject({ code: 'INTERNAL', message: 'thrown before there is a promise' });
  });

  it('can be cancelled, and time out', async () => {
    const started = gate();
    const ended: unknown[] = [];
    const { client } = await runService({
      getRun: async (_request, { signal }) => {
        started.open();
        await once(signal, 'abort');
        ended.push(signal.reason);
        return {};
      },
    });
    const controller = new AbortController();
    const call = client.getRun({}, { signal: controller.signal });
    await started.opened;
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(client.getRun({}, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(client.getRun({}, { signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect.poll(() => ended.length).toBe(2);
    expect(ended[0]).toMatchObject({ code: 'CANCELLED' });
  });

  it('refuse messages beyond the limit, in both directions', async () => {
    const { client } = await runService({ submitRun: async () => ({}), getRun: async () => ({ run: { name: 'x'.repeat(70_000) } }) }, 65_536);
    await expect(client.submitRun({ specYaml: 'x'.repeat(70_000) })).rejects.toMatchObject({ code: 'PROTOCOL' });
    await expect(client.getRun({})).rejects.toMatchObject({ code: 'PROTOCOL' });
    await expect(client.submitRun({ specYaml: 'x'.repeat(60_000) })).resolves.toBeDefined();
  });

  it('survive bytes that are no message', async () => {
    const { client, port } = await runService({ getRun: async () => ({}) });
    const raw = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    closers.push(() => raw.close());
    const error = await new Promise((resolve) => {
      raw.makeUnaryRequest('/dd2.v1.RunService/GetRun', (bytes: Buffer) => bytes, (bytes) => bytes, Buffer.from([0xff, 0xff]), resolve);
    });
    expect(error).toBeInstanceOf(Error);
    await expect(client.getRun({})).resolves.toBeDefined();
  });
});

describe('streaming calls', () => {
  it('stream events until the handler is done, or fails', async () => {
    const { client } = await runService({
      watchRun: async ({ since }, stream) => {
        for (let sequence = since + 1n; sequence <= since + 3n; sequence++) stream.write({ event: { sequence, metrics: { loss: 0.5 } } });
        if (since > 0n) throw new Dd2Error('RUN_FAILED', 'the run has failed');
      },
    });
    const sequences: (bigint | undefined)[] = [];
    for await (const { event } of client.watchRun({ runId: 'r' })) sequences.push(event?.sequence);
    expect(sequences).toEqual([1n, 2n, 3n]);
    const failing = async (): Promise<void> => {
      for await (const { event } of client.watchRun({ runId: 'r', since: 10n })) sequences.push(event?.sequence);
    };
    await expect(failing()).rejects.toMatchObject({ code: 13, details: 'the run has failed' });
    expect(sequences).toEqual([1n, 2n, 3n, 11n, 12n, 13n]);
  });

  it('speak both ways on the control stream', async () => {
    const heard: ControlRequest['message'][] = [];
    const service = await startWorkerService({
      control: async (stream) => {
        for await (const { message } of stream) {
          heard.push(message);
          if (message.case === 'hello') stream.write({ message: { case: 'welcome', value: { epoch: 7n, heartbeatIntervalMs: 1_000 } } });
          if (message.case === 'leaving') return;
        }
      },
    });
    closers.push(service.close);
    const control = service.connect().control();
    control.write({ message: { case: 'hello', value: { workerId: 'w1', capacity: 2 } } });
    const messages = control[Symbol.asyncIterator]();
    expect((await messages.next()).value).toMatchObject({ message: { case: 'welcome', value: { epoch: 7n, heartbeatIntervalMs: 1_000 } } });
    control.write({ message: { case: 'leaseResult', value: { leaseId: 'l', microBatches: [{ index: 4, metrics: { loss: 1 } }] } } });
    control.write({ message: { case: 'leaving', value: {} } });
    expect((await messages.next()).done).toBe(true);
    expect(heard).toMatchObject([
      { case: 'hello', value: { workerId: 'w1', capacity: 2 } },
      { case: 'leaseResult', value: { microBatches: [{ index: 4, metrics: { loss: 1 } }] } },
      { case: 'leaving' },
    ]);
  });

  it('answer with the error of a handler that fails between two requests', async () => {
    const service = await startWorkerService({
      control: async (stream) => {
        for await (const { message } of stream) throw new Dd2Error('STALE_LEASE', `${message.case} is refused`);
      },
    });
    closers.push(service.close);
    const control = service.connect().control();
    const failed = once(control, 'error');
    control.write({ message: { case: 'heartbeat', value: {} } });
    expect(fromStatus((await failed)[0])).toMatchObject({ code: 'STALE_LEASE', message: 'heartbeat is refused' });
  });

  it('end when the client leaves its loop over the responses', async () => {
    const aborted = gate();
    const { client } = await runService({
      watchRun: async (_request, stream, { signal }) => {
        signal.addEventListener('abort', aborted.open);
        stream.write({});
        await aborted.opened;
      },
    });
    for await (const response of client.watchRun({})) {
      expect(response.event).toBeUndefined();
      break;
    }
    await aborted.opened;
  });

  it('abort the handler when the client is gone', async () => {
    const started = gate();
    const aborted = gate();
    const service = await startWorkerService({
      control: async (_stream, { signal }) => {
        signal.addEventListener('abort', () => aborted.open());
        started.open();
        await aborted.opened;
      },
    });
    closers.push(service.close);
    const control = service.connect().control();
    const failed = once(control, 'error');
    await started.opened;
    control.cancel();
    await aborted.opened;
    expect((await failed)[0]).toMatchObject({ code: 1 });
  });
});

describe('connections', () => {
  it('say when there is nobody', async () => {
    const { port, close } = await startWorkerService({});
    await close();
    const client = createClient(RunService, `127.0.0.1:${port}`);
    closers.push(() => client.close());
    await expect(client.ready(100)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(client.listRuns({})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('say when the address is taken', async () => {
    const { port } = await runService({});
    const second = createServer();
    await expect(second.listen(`127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await second.close();
  });

  it('finish running calls when the server closes with grace', async () => {
    const started = gate();
    const finish = gate();
    const { server, client } = await runService({
      getRun: async () => {
        started.open();
        await finish.opened;
        return { run: { runId: 'late' } };
      },
    });
    const call = client.getRun({});
    await started.opened;
    const closed = server.close(10_000);
    finish.open();
    await expect(call).resolves.toMatchObject({ run: { runId: 'late' } });
    await closed;
  });
});
