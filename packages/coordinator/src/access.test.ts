import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient, createServer, Metadata, RunService, WorkerService, type ClientOptions, type Handlers, type IncomingCall } from '@dd2/proto';
import { createAuthority, issueCertificate } from '@dd2/proto/certificates';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { apiLimits, openAccess, secureTransport, type AccessOptions } from './access.js';
import { temporaryFolder } from './testing/temporary-folder.js';
import { tokenFile } from './token-file.js';

const logger = pino({ level: 'silent' });

/** A server with the access of a coordinator, whose calls all succeed. */
async function serve(options: AccessOptions | undefined, dataDir?: string) {
  const folder = dataDir ?? (await temporaryFolder());
  const access = await openAccess(folder, options, logger);
  const server = createServer({ tls: secureTransport('127.0.0.1', options, logger) });
  const answer = async (): Promise<object> => ({});
  const all = (methods: readonly { readonly localName: string }[], handler: unknown): unknown => Object.fromEntries(methods.map(({ localName }) => [localName, handler]));
  server.add(WorkerService, all(WorkerService.methods, answer) as Handlers<typeof WorkerService>, access.worker);
  server.add(RunService, all(RunService.methods, answer) as Handlers<typeof RunService>, access.api);
  const port = await server.listen('127.0.0.1:0');
  onTestFinished(() => server.close());
  return {
    dataDir: folder,
    tokens: async () => ({ join: (await readFile(tokenFile(folder, 'join'), 'utf8')).trim(), api: (await readFile(tokenFile(folder, 'api'), 'utf8')).trim() }),
    people: (connection: ClientOptions = {}) => {
      const client = createClient(RunService, `127.0.0.1:${port}`, connection);
      onTestFinished(() => client.close());
      return client;
    },
    worker: (connection: ClientOptions = {}) => {
      const client = createClient(WorkerService, `127.0.0.1:${port}`, connection);
      onTestFinished(() => client.close());
      return client;
    },
  };
}

describe('tokens', () => {
  it('are made on the first start, for their owner only, and stay', async () => {
    const first = await serve({});
    const made = await first.tokens();
    expect(made.join).toMatch(/^[\w-]{43}$/);
    expect(made.api).toMatch(/^[\w-]{43}$/);
    expect(made.api).not.toBe(made.join);
    const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    expect([await mode(join(first.dataDir, 'tokens')), await mode(tokenFile(first.dataDir, 'join')), await mode(tokenFile(first.dataDir, 'api'))]).toEqual(['700', '600', '600']);
    const second = await serve({}, first.dataDir);
    expect(await second.tokens()).toEqual(made);
    await second.people({ token: made.api }).listRuns({});
  });

  it('that others could read are theirs alone again, and this is told', async () => {
    const { dataDir, tokens } = await serve({});
    const made = await tokens();
    await chmod(tokenFile(dataDir, 'api'), 0o644);
    await chmod(join(dataDir, 'tokens'), 0o755);
    const warned: unknown[] = [];
    await openAccess(dataDir, {}, pino({ level: 'warn' }, { write: (line: string) => warned.push((JSON.parse(line) as { path: string }).path) }));
    expect(warned).toEqual([join(dataDir, 'tokens'), tokenFile(dataDir, 'api')]);
    expect((await stat(tokenFile(dataDir, 'api'))).mode & 0o777).toBe(0o600);
    expect(await tokens()).toEqual(made);
  });

  it('let in workers and people, each with their own', async () => {
    const { tokens, people, worker } = await serve({});
    const { join: joinToken, api } = await tokens();
    await people({ token: api }).listRuns({});
    await worker({ token: joinToken }).pushGradient().response;
    await expect(people().listRuns({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('API token') as string, remedy: expect.stringContaining('tokens/api') as string });
    await expect(worker().pushGradient().response).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('join token') as string, remedy: expect.stringContaining('tokens/join') as string });
    await expect(people({ token: 'not-the-token-of-anybody' }).listRuns({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining("not the coordinator's API token") as string });
    await expect(people({ token: joinToken }).listRuns({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('this is the join token') as string });
    await expect(worker({ token: api }).pushGradient().response).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('this is the API token') as string });
    await expect(people({ token: api, metadata: { authorization: api } }).listRuns({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('can be given', async () => {
    const folder = await temporaryFolder();
    const [joinTokenFile, apiTokenFile] = [join(folder, 'given-join'), join(folder, 'given-api')];
    await writeFile(joinTokenFile, '0123456789abcdef-join\n');
    await writeFile(apiTokenFile, '0123456789abcdef-api');
    const metricsTokenFile = join(folder, 'given-metrics');
    await writeFile(metricsTokenFile, '0123456789abcdef-metrics');
    const { dataDir, people, worker } = await serve({ joinTokenFile, apiTokenFile, metricsTokenFile });
    await people({ token: '0123456789abcdef-api' }).listRuns({});
    await worker({ token: '0123456789abcdef-join' }).pushGradient().response;
    await expect(stat(join(dataDir, 'tokens'))).rejects.toThrow('ENOENT');
    await expect(openAccess(folder, { joinTokenFile, apiTokenFile: joinTokenFile }, logger)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('different') as string });
    await expect(openAccess(folder, { joinTokenFile, apiTokenFile, metricsTokenFile: apiTokenFile }, logger)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: apiTokenFile });
    await expect(openAccess(folder, { joinTokenFile: join(folder, 'none') }, logger)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: join(folder, 'none') });
    await writeFile(joinTokenFile, 'short');
    await expect(openAccess(folder, { joinTokenFile }, logger)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: joinTokenFile });
  });

  it('that were damaged are refused, not replaced', async () => {
    const { dataDir } = await serve({});
    await writeFile(tokenFile(dataDir, 'join'), '');
    await expect(openAccess(dataDir, {}, logger)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: tokenFile(dataDir, 'join') });
    await rm(tokenFile(dataDir, 'join'));
    await openAccess(dataDir, {}, logger);
    expect(await readFile(tokenFile(dataDir, 'join'), 'utf8')).toMatch(/^[\w-]{43}\n$/);
  });

  it('are not asked for without access options', async () => {
    const { dataDir, people, worker } = await serve(undefined);
    await people().listRuns({});
    await worker().pushGradient().response;
    await expect(stat(join(dataDir, 'tokens'))).rejects.toThrow('ENOENT');
  });
});

describe('a network', () => {
  it.each(['0.0.0.0', '::', '10.0.0.5', 'node-1'])('%s is not listened on in plain text, unless told to', (host) => {
    for (const options of [undefined, {}, { insecure: false }]) {
      expect(() => secureTransport(host, options, logger)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', remedy: expect.stringContaining('--insecure') as string }));
    }
    expect(secureTransport(host, { insecure: true }, logger)).toBeUndefined();
    for (const local of ['127.0.0.1', '::1', 'localhost']) expect(secureTransport(local, undefined, logger)).toBeUndefined();
  });

  it('is listened on with certificates', async () => {
    const folder = await temporaryFolder();
    await mkdir(folder, { recursive: true });
    const to = new Date(Date.now() + 86_400_000);
    const authority = await createAuthority('test', { to });
    const { certificate, privateKey } = await issueCertificate(authority, { purpose: 'server', name: 'server', hosts: ['127.0.0.1'], to });
    const [certFile, keyFile] = [join(folder, 'server.crt'), join(folder, 'server.key')];
    await writeFile(certFile, certificate);
    await writeFile(keyFile, privateKey);
    expect(secureTransport('0.0.0.0', { tls: { certFile, keyFile } }, logger)).toBeDefined();
    expect(() => secureTransport('127.0.0.1', { tls: { certFile, keyFile: certFile } }, logger)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: certFile }));
  });
});

describe('limits of RunService', () => {
  it('refuse whoever asks too often, and say when to try again', async () => {
    const { people, worker } = await serve(undefined);
    const client = people();
    const asked = await Promise.allSettled(Array.from({ length: 1_000 }, () => client.listRuns({})));
    const refused = asked.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(asked.length - refused.length).toBeGreaterThanOrEqual(200);
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, details: { retryAfterMs: expect.any(Number) as number }, remedy: expect.stringContaining('Try again in') as string });
    // Workers are not counted.
    await Promise.all(Array.from({ length: 300 }, () => worker().pushGradient().response));
    await expect.poll(() => client.listRuns({}).then(() => true, () => false)).toBe(true);
  });

  it('refuse more open requests than one coordinator serves, until some of them end', () => {
    const admit = apiLimits({ perSecond: 1, burst: 1, maxOpenCalls: 3 });
    const call = (client: number): IncomingCall => ({ method: 'WatchRun', metadata: new Metadata(), peer: `10.0.0.${client}:5` });
    const [first] = [1, 2, 3].map((client) => admit(call(client)));
    expect(() => admit(call(4))).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('3 requests are open') as string }));
    first?.();
    expect(admit(call(5))).toBeTypeOf('function');
    expect(() => admit(call(6))).toThrow('3 requests are open');
    expect(() => admit({ ...call(5), peer: '10.0.0.5:99' })).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', details: { retryAfterMs: expect.any(Number) as number } }));
  });

  it('refuse a request of more than 1 MiB', async () => {
    const { people } = await serve(undefined);
    await expect(people().submitRun({ specYaml: 'x'.repeat(1_100_000) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await people().submitRun({ specYaml: 'x'.repeat(900_000) });
  });
});
