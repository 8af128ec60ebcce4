import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { Dd2Error } from '@dd2/core';
import { afterEach, describe, expect, it } from 'vitest';
import { receiveBulk } from './bulk-receive.js';
import { sendBulk } from './bulk-send.js';
import { createClient } from './client.js';
import { RunService } from './gen/dd2/v1/run_pb.js';
import type { WorkerService } from './gen/dd2/v1/worker_pb.js';
import type { Handlers } from './rpc-types.js';
import { createServer, type ServerOptions, type ServicePolicy } from './server.js';
import { gate, startWorkerService } from './testing/worker-service.js';
import { newToken, tokenOf } from './token.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const token = newToken();
const withToken: ServicePolicy = {
  admit: ({ metadata }) => {
    if (tokenOf(metadata) !== token) throw new Dd2Error('UNAUTHENTICATED', 'no token', { remedy: 'Show one' });
    return undefined;
  },
};

async function serve(handlers: Partial<Handlers<typeof WorkerService>>, policy: ServicePolicy = withToken, options: ServerOptions = {}) {
  const service = await startWorkerService(handlers, options, policy);
  closers.push(service.close);
  return service;
}

/** A control stream that answers every message. */
const echo: Pick<Handlers<typeof WorkerService>, 'control'> = {
  control: async (stream) => {
    for await (const _ of stream) stream.write({ message: { case: 'revoke', value: {} } });
  },
};

type Echo = ReturnType<Awaited<ReturnType<typeof serve>>['connect']>;

/** Opens the control stream and answers a function that asks whether it lives. */
async function session(client: Echo): Promise<() => Promise<boolean>> {
  const stream = client.control();
  const messages = stream[Symbol.asyncIterator]();
  const lives = async (): Promise<boolean> => {
    stream.write({ message: { case: 'heartbeat', value: {} } });
    return (await messages.next()).done !== true;
  };
  expect(await lives()).toBe(true);
  return lives;
}

async function opened(port: number): Promise<Socket> {
  const socket = connectTcp(port, '127.0.0.1').on('error', () => undefined).resume();
  closers.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

describe('admission', () => {
  it('answers a refused call with a typed error, and its handler never sees it', async () => {
    let handled = 0;
    const service = await serve({
      pushGradient: async () => {
        handled += 1;
        return { accepted: true };
      },
    });
    await expect(service.connect({ token: newToken() }).pushGradient().response).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'no token. Show one', remedy: 'Show one' });
    await expect(service.connect().pushGradient().response).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(handled).toBe(0);
    await expect(service.connect({ token }).pushGradient().response).resolves.toMatchObject({ accepted: true });
    expect(handled).toBe(1);
  });

  it('lets in a client that learns its token later', async () => {
    const service = await serve({ pushGradient: async () => ({ accepted: true }) });
    const known: string[] = [];
    const asked: number[] = [];
    const client = service.connect({
      token: () => {
        asked.push(1);
        return known[0];
      },
    });
    await expect(client.pushGradient().response).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    known.push(token);
    // the refused connection is being closed: until then a call may still find it
    await expect.poll(() => client.pushGradient().response.then(({ accepted }) => accepted, () => false)).toBe(true);
    await client.pushGradient().response;
    expect(asked).toHaveLength(2);
  });

  it('takes nothing of what a refused call sends', async () => {
    let received = 0;
    const service = await serve({
      pushGradient: async (stream) => {
        await receiveBulk(stream, { maxBytes: 1e9, onChunk: (data) => void (received += data.byteLength) });
        return { accepted: true };
      },
    });
    const { stream, response } = service.connect({ token: newToken() }).pushGradient();
    const size = 64 * 1024 ** 2;
    const sent = sendBulk(stream, { totalBytes: size }, [new Uint8Array(size)]).catch(() => undefined);
    await expect(response).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await sent;
    expect(received).toBe(0);
  });

  it('tells when an admitted call has ended, once, however it ends', async () => {
    const open = { count: 0, most: 0 };
    const policy: ServicePolicy = {
      admit: () => {
        open.most = Math.max(open.most, ++open.count);
        return () => (open.count -= 1);
      },
    };
    const service = await serve(
      {
        ...echo,
        getAsset: async () => {
          throw new Dd2Error('STALE_LEASE', 'gone');
        },
        pushGradient: async () => ({ accepted: true }),
      },
      policy,
    );
    const client = service.connect();
    await client.pushGradient().response;
    await expect(receiveBulk(client.getAsset({}), { maxBytes: 1, onChunk: () => undefined })).rejects.toThrow();
    const lives = await session(client);
    await session(service.connect());
    expect([await lives(), open.most]).toEqual([true, 2]);
    client.close();
    await service.server.close();
    await expect.poll(() => open.count).toBe(0);
  });

  it('says when trying again can help', async () => {
    const service = await serve(
      { pushGradient: async () => ({ accepted: true }) },
      {
        admit: () => {
          throw new Dd2Error('RESOURCE_EXHAUSTED', 'too many calls', { details: { retryAfterMs: 250 } });
        },
      },
    );
    await expect(service.connect().pushGradient().response).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, details: { retryAfterMs: 250 } });
  });

  it('refuses a request that is too large, whatever it says', async () => {
    const server = createServer();
    const unused = (): Promise<never> => Promise.reject(new Error('not expected'));
    let handled = 0;
    const submitRun = async (): Promise<object> => {
      handled += 1;
      return {};
    };
    const getRun = unused;
    const service = RunService;
    const handlers = { ...Object.fromEntries(service.methods.map(({ localName }) => [localName, unused])), submitRun, getRun } as unknown as Handlers<typeof RunService>;
    server.add(service, handlers, { maxRequestBytes: 1_000 });
    const port = await server.listen('127.0.0.1:0');
    const client = createClient(RunService, `127.0.0.1:${port}`);
    closers.push(
      () => server.close(),
      () => client.close(),
    );
    await expect(client.submitRun({ specYaml: 'x'.repeat(1_000) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('1000 bytes') as string });
    await client.submitRun({ specYaml: 'x'.repeat(900) });
    expect(handled).toBe(1);
  });
});

describe('connections', () => {
  it('that were refused are closed, those that were admitted stay', async () => {
    const service = await serve(echo);
    const { port } = service;
    const http2 = async (): Promise<ClientHttp2Session> => {
      const client = connect(`http://127.0.0.1:${port}`).on('error', () => undefined);
      closers.push(() => client.destroy());
      await once(client, 'connect');
      return client;
    };
    const call = (client: ClientHttp2Session, shown: string) => {
      const stream = client.request({ ':method': 'POST', ':path': '/dd2.v1.WorkerService/Control', 'content-type': 'application/grpc', te: 'trailers', authorization: `Bearer ${shown}` });
      stream.on('error', () => undefined);
      return once(stream, 'response');
    };
    const stranger = await http2();
    const closed = once(stranger, 'close');
    const [headers] = (await call(stranger, 'wrong')) as [Record<string, string>];
    expect(headers['grpc-status']).toBe('16');
    await closed;
    const worker = await http2();
    void call(worker, token);
    await expect.poll(() => service.server.flowControl().length).toBe(1);
    const lives = await session(service.connect({ token }));
    const [refused] = (await call(worker, 'wrong')) as [Record<string, string>];
    expect([refused['grpc-status'], worker.closed, await lives()]).toEqual(['16', false, true]);
  });

  it('that show nothing push out each other, never a worker', async () => {
    const service = await serve(echo, withToken, { connections: { maxUnproven: 10 } });
    const lives = await session(service.connect({ token }));
    const closed: number[] = [];
    const sockets: Socket[] = [];
    for (let i = 0; i < 200; i++) {
      const socket = await opened(service.port);
      socket.once('close', () => closed.push(i));
      sockets.push(socket);
      // in the middle of it, another worker comes
      if (i === 100) expect(await (await session(service.connect({ token })))()).toBe(true);
    }
    await expect.poll(() => closed.length).toBeGreaterThanOrEqual(190);
    expect(Math.min(...closed)).toBe(0);
    expect(sockets.slice(-10).filter(({ destroyed }) => destroyed)).toEqual([]);
    expect(await lives()).toBe(true);
  });

  it('have a limited time to show something', async () => {
    const service = await serve(echo, withToken, { connections: { proveWithinMs: 50 } });
    const lives = await session(service.connect({ token }));
    const socket = await opened(service.port);
    await once(socket, 'close');
    expect(await lives()).toBe(true);
  });

  it('are limited in number', async () => {
    const service = await serve(echo, withToken, { connections: { maxConnections: 2 } });
    const lives = await session(service.connect({ token }));
    await session(service.connect({ token }));
    const third = await opened(service.port);
    await once(third, 'close');
    expect(await lives()).toBe(true);
  });

  it('have a limited number of open calls: further ones wait', async () => {
    const started: string[] = [];
    const release = gate();
    const service = await serve(
      {
        getAsset: async ({ assetId }, stream) => {
          started.push(assetId);
          await release.opened;
          stream.write({ offset: 0, data: new Uint8Array() });
        },
      },
      withToken,
      { maxCallsPerConnection: 3 },
    );
    const client = service.connect({ token });
    await client.ready(5_000);
    const done = Array.from({ length: 5 }, async (_, i) => {
      for await (const _chunk of client.getAsset({ assetId: `asset ${i}` }));
    });
    await expect.poll(() => started.length).toBe(3);
    const other = service.connect({ token });
    const overtaking = (async () => {
      for await (const _chunk of other.getAsset({ assetId: 'other' }));
    })();
    await expect.poll(() => started.length).toBe(4);
    expect(started).toContain('other');
    release.open();
    await Promise.all([...done, overtaking]);
    expect(started).toHaveLength(6);
  });
});
