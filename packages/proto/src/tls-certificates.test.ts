import { writeFile } from 'node:fs/promises';
import { ChannelCredentials, Client, Server, ServerCredentials } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { Dd2Error } from '@dd2/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createAuthority } from './certificates.js';
import { createClient, type ClientOptions } from './client.js';
import { WorkerService } from './gen/dd2/v1/worker_pb.js';
import type { ServiceClient } from './rpc-types.js';
import { fromStatus } from './status.js';
import { CertificateFolder, tomorrow, yesterday } from './testing/certificate-folder.js';
import { startWorkerService, type RunningService } from './testing/worker-service.js';
import { TlsCertificates, type TlsFiles, type TlsWatch } from './tls-certificates.js';

let folder: CertificateFolder;
const closers: (() => unknown)[] = [];
beforeEach(async () => {
  folder = await CertificateFolder.make();
  closers.push(() => folder.remove());
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(files: TlsFiles, watch: TlsWatch = {}): Promise<RunningService> {
  const service = await startWorkerService(
    {
      control: async (stream) => {
        for await (const message of stream) stream.write({ message: { case: 'revoke', value: { leaseId: message.message.case ?? '' } } });
      },
      pushGradient: async () => ({ accepted: true }),
    },
    { tls: TlsCertificates.load(files, watch) },
  );
  closers.push(service.close);
  return service;
}

const load = (files: TlsFiles): ClientOptions => ({ tls: TlsCertificates.load(files) });

/** Makes a call on a connection of its own. */
async function call(service: RunningService, options: ClientOptions, host = '127.0.0.1'): Promise<boolean> {
  const client = createClient(WorkerService, `${host}:${service.port}`, options);
  try {
    return await accepted(client);
  } finally {
    client.close();
  }
}

async function accepted(client: ServiceClient<typeof WorkerService>): Promise<boolean> {
  return (await client.pushGradient({ timeoutMs: 5_000 }).response).accepted;
}

describe('TLS', () => {
  it('lets in who trusts the server, by address and by name', async () => {
    const service = await serve({ ...(await folder.issue('server')), caFile: undefined });
    for (const host of ['127.0.0.1', 'localhost']) expect(await call(service, load({ caFile: folder.file('ca.crt') }), host)).toBe(true);
  });

  it('trusts what Node trusts when no authority is named, those of NODE_EXTRA_CA_CERTS too', async () => {
    const service = await serve({ ...(await folder.issue('server')), caFile: undefined });
    await expect(call(service, load({}))).rejects.toMatchObject({ code: 'UNAVAILABLE', field: 'tls' });
    for (const [file, trusted] of [[folder.file('ca.crt'), true], [folder.file('none'), false], ['', false]] as const) {
      vi.stubEnv('NODE_EXTRA_CA_CERTS', file);
      if (trusted) expect(await call(service, load({}))).toBe(true);
      else await expect(call(service, load({}))).rejects.toMatchObject({ code: 'UNAVAILABLE', field: 'tls' });
    }
    vi.unstubAllEnvs();
  });

  it('refuses a server whose authority is another one, and says which file is to blame', async () => {
    const service = await serve({ ...(await folder.issue('server')), caFile: undefined });
    await writeFile(folder.file('other.crt'), (await createAuthority('test authority', { to: tomorrow() })).certificate);
    const wrong = call(service, load({ caFile: folder.file('other.crt') }));
    await expect(wrong).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /another authority.+ca\.crt/ as unknown });
    // Without an authority of its own, a client trusts the public ones only.
    await expect(call(service, load({}))).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('another authority') as string });
  });

  it('refuses a server whose certificate is for other hosts', async () => {
    const service = await serve({ ...(await folder.issue('server', { hosts: ['dd2.example', 'localhost', '10.1.2.3'] })), caFile: undefined });
    const options = load({ caFile: folder.file('ca.crt') });
    expect(await call(service, options, 'localhost')).toBe(true);
    await expect(call(service, options)).rejects.toMatchObject({ message: expect.stringContaining('--host NAME') as string });
  });

  it('refuses a server whose certificate has expired', async () => {
    const { certFile, keyFile } = await folder.issue('server', { from: new Date(0), to: yesterday() });
    const server = new Server();
    const credentials = ServerCredentials.createSsl(null, [{ cert_chain: readFileSync(certFile), private_key: readFileSync(keyFile) }]);
    const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound))));
    closers.push(() => server.forceShutdown());
    const client = createClient(WorkerService, `127.0.0.1:${port}`, load({ caFile: folder.file('ca.crt') }));
    closers.push(() => client.close());
    await expect(client.ready(300)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('expired') as string });
  });

  it('says that the server does not speak it, and that the client does not', async () => {
    const plain = await startWorkerService({});
    closers.push(plain.close);
    await expect(call(plain, load({ caFile: folder.file('ca.crt') }))).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('--certs') as string });
    const service = await serve({ ...(await folder.issue('server')), caFile: undefined });
    await expect(call(service, {})).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('--certs') as string });
  });
});

describe('mutual TLS', () => {
  it('lets in a client with a certificate of the authority', async () => {
    const service = await serve(await folder.issue('server'));
    expect(await call(service, load(await folder.issue('client')))).toBe(true);
  });

  it('refuses a client without a certificate', async () => {
    const service = await serve(await folder.issue('server'));
    await expect(call(service, load({ caFile: folder.file('ca.crt') }))).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('asks for a certificate') as string });
  });

  it("refuses a client of another authority, and one that shows a server's certificate", async () => {
    const service = await serve(await folder.issue('server'));
    const stranger = await folder.issue('client', {}, await createAuthority('test authority', { to: tomorrow() }));
    await expect(call(service, load(stranger))).rejects.toMatchObject({ message: expect.stringContaining('a certificate of its authority') as string });
    const impostor = await folder.issue('server-2');
    await expect(call(service, load(impostor))).rejects.toMatchObject({ message: expect.stringContaining('closed the connection') as string });
  });

  it('refuses a client whose certificate has expired', async () => {
    const service = await serve(await folder.issue('server'));
    const { certFile, keyFile, caFile } = await folder.issue('client', { from: new Date(0), to: yesterday() });
    const client = new Client(`localhost:${service.port}`, ChannelCredentials.createSsl(readFileSync(caFile), readFileSync(keyFile), readFileSync(certFile)));
    closers.push(() => client.close());
    const answer = new Promise((resolve) => {
      client.makeUnaryRequest('/dd2.v1.WorkerService/PushGradient', () => Buffer.of(), (bytes) => bytes, {}, resolve);
    });
    expect(fromStatus(await answer)).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('expired') as string });
  });
});

describe('certificates that change', () => {
  /** A server and a client whose files are read every few milliseconds, and a call that is open. */
  async function watched() {
    const reloads: number[] = [];
    const troubles: Dd2Error[] = [];
    const watch = { pollMs: 10, onReload: () => reloads.push(1), onTrouble: (error: Dd2Error) => troubles.push(error) };
    const service = await serve(await folder.issue('server'), watch);
    const tls = TlsCertificates.load(await folder.issue('client'), { pollMs: 10 });
    const client = service.connect({ tls });
    const session = client.control();
    const messages = session[Symbol.asyncIterator]();
    const lives = async (): Promise<boolean> => {
      session.write({ message: { case: 'heartbeat', value: {} } });
      return (await messages.next()).done !== true;
    };
    expect(await lives()).toBe(true);
    return { service, reloads, troubles, lives, tls };
  }

  it('are used by new connections, while the open ones stay', async () => {
    const { service, reloads, lives, tls } = await watched();
    const old = { tls: TlsCertificates.load({ certFile: folder.file('client.crt'), keyFile: folder.file('client.key'), caFile: folder.file('ca.crt') }, { pollMs: 1e6 }) };
    const next = await createAuthority('next authority', { to: tomorrow() });
    // as long as both authorities count, every end can change on its own
    await folder.write('ca.crt', folder.authority.certificate + next.certificate);
    await expect.poll(() => reloads.length).toBe(1);
    await folder.issue('client', {}, next);
    await folder.issue('server', {}, next);
    await folder.write('ca.crt', next.certificate);
    await expect.poll(() => call(service, { tls }).catch(() => false)).toBe(true);
    await expect.poll(() => call(service, load({ certFile: folder.file('client.crt'), keyFile: folder.file('client.key'), caFile: folder.file('ca.crt') })).catch(() => false)).toBe(true);
    expect(await lives()).toBe(true);
    // Whoever still has the old ones is neither trusted nor trusts.
    await expect(createClient(WorkerService, `127.0.0.1:${service.port}`, old).ready(300)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('stay as they were when the new ones are broken, which is told once', async () => {
    const { service, reloads, troubles, lives } = await watched();
    const client = load({ certFile: folder.file('client.crt'), keyFile: folder.file('client.key'), caFile: folder.file('ca.crt') });
    await folder.write('server.crt', 'no certificate');
    await expect.poll(() => troubles.length).toBe(1);
    expect(troubles[0]).toMatchObject({ code: 'INVALID_ARGUMENT', field: folder.file('server.crt') });
    expect(await call(service, client)).toBe(true);
    // another certificate's key
    await folder.issue('other');
    await folder.write('server.crt', readFileSync(folder.file('other.crt'), 'utf8'));
    await expect.poll(() => troubles.length).toBe(2);
    expect(troubles[1]).toMatchObject({ message: expect.stringContaining('does not belong') as string });
    expect(await call(service, client)).toBe(true);
    expect([reloads.length, await lives()]).toEqual([0, true]);
    // both of them: good again
    await folder.write('server.key', readFileSync(folder.file('other.key'), 'utf8'));
    await expect.poll(() => reloads.length).toBe(1);
    expect(await call(service, client)).toBe(true);
    expect(troubles).toHaveLength(2);
  });

  it('are not watched once nobody uses them', async () => {
    const { service, reloads, troubles } = await watched();
    await service.close();
    await folder.write('server.crt', 'no certificate');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([reloads, troubles]).toEqual([[], []]);
  });
});

describe('loading', () => {
  it.each([
    ['a file that is not there', { caFile: 'none.crt' }, 'cannot be read'],
    ['a certificate without its key', { certFile: 'server.crt' }, 'belong together'],
    ["another certificate's key", { certFile: 'server.crt', keyFile: 'client.key' }, 'does not belong'],
    ['an expired certificate', { certFile: 'old.crt', keyFile: 'old.key' }, 'expired'],
    ['a key in place of the certificate', { certFile: 'server.key', keyFile: 'server.key' }, 'not the PEM'],
    ['garbage', { caFile: 'garbage' }, 'not the PEM'],
  ])('refuses %s', async (_what, files, problem) => {
    await folder.issue('server');
    await folder.issue('client');
    await folder.issue('old', { from: new Date(0), to: yesterday() });
    await folder.write('garbage', 'garbage');
    const paths = Object.fromEntries(Object.entries(files).map(([part, name]) => [part, folder.file(name)]));
    expect(() => TlsCertificates.load(paths)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(problem) as string, field: expect.stringContaining(folder.path) as string }));
  });

  it('refuses a server without a certificate', () => {
    expect(() => TlsCertificates.load({ caFile: folder.file('ca.crt') }).serverCredentials()).toThrow(Dd2Error);
  });
});
