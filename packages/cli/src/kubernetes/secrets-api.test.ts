import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority } from '@dd2/proto/certificates';
import { createSecretsApi, valueOf, type SecretsApi, type SecretsApiOptions } from './secrets-api.js';
import { readServiceAccount } from './service-account.js';
import { FakeApi, type Fault } from './testing/fake-api.js';

let server: FakeApi;
let retries: string[] = [];
beforeEach(async () => {
  server = await FakeApi.start();
  retries = [];
});
afterEach(() => server.stop());

const secret = { name: 'dd2-join-token', type: 'Opaque', labels: { a: 'b' }, values: { token: 'grüße' } };
const api = (options: Partial<SecretsApiOptions> = {}): SecretsApi =>
  createSecretsApi({ access: server.access, namespace: 'team-a', onRetry: (problem) => void retries.push(problem), firstWaitMs: 5, patienceMs: 2_000, ...options });

/** Answers the first requests with these, and then as usual. */
function first(...faults: Fault[]): void {
  server.fault = () => faults.shift();
}

describe('the API', () => {
  it('makes, reads and replaces, and keeps what it does not know', async () => {
    expect(await api().get('dd2-join-token')).toBeUndefined();
    await api().create(secret);
    const found = await api().get('dd2-join-token');
    expect(found && valueOf(found, 'token')).toBe('grüße');
    expect(found && valueOf(found, 'other')).toBeUndefined();
    server.put('dd2-join-token', { token: 'a', mine: 'b' }, { future: { field: 1 } });
    const stored = await api().get('dd2-join-token');
    await api().update(stored ?? expect.fail(), { token: 'c' });
    expect(server.values('dd2-join-token')).toEqual({ token: 'c', mine: 'b' });
    expect(server.secrets.get('dd2-join-token')).toMatchObject({ future: { field: 1 } });
  });

  it('tells who comes late', async () => {
    await api().create(secret);
    expect(await api().create(secret)).toBeUndefined();
    const found = (await api().get(secret.name)) ?? expect.fail();
    server.put(secret.name, { token: 'changed' });
    expect(await api().update(found, { token: 'mine' })).toBeUndefined();
    server.secrets.delete(secret.name);
    expect(await api().update(found, { token: 'mine' })).toBeUndefined();
  });

  it.each<[string, Fault, string]>([
    ['an error of the server', { status: 500, reason: 'InternalError', message: 'etcdserver: leader changed' }, 'it answers 500: etcdserver: leader changed'],
    ['one that is overloaded', { status: 429, reason: 'TooManyRequests', message: 'slow down', headers: { 'retry-after': '0' } }, 'it answers 429: slow down'],
    ['a load balancer without a server', { status: 503, reason: '', message: '' }, 'it answers 503: '],
    ['a connection that breaks', 'drop', 'socket hang up'],
  ])('is asked again after %s', async (_what, fault, problem) => {
    first(fault, fault);
    expect(await api().get('dd2-ca')).toBeUndefined();
    expect(retries).toEqual([expect.stringContaining(problem), expect.stringContaining(problem)]);
  });

  it('may have done what it did not answer', async () => {
    first('lose');
    expect(await api().create(secret)).toBeUndefined();
    const found = (await api().get(secret.name)) ?? expect.fail();
    first('lose');
    expect(await api().update(found, { token: 'new' })).toBeUndefined();
    expect(server.values(secret.name)).toEqual({ token: 'new' });
  });

  it('is waited for so long and no longer', async () => {
    server.fault = () => ({ status: 503, reason: 'ServiceUnavailable', message: 'starting' });
    await expect(api({ patienceMs: 60 }).get('dd2-ca')).rejects.toMatchObject({ code: 'UNAVAILABLE', field: 'get Secret dd2-ca in namespace team-a', message: expect.stringContaining('starting') as string });
    expect(retries.length).toBeGreaterThan(1);
    await expect(createSecretsApi({ access: { ...server.access, port: 1 }, namespace: 'team-a', firstWaitMs: 5, patienceMs: 20 }).get('dd2-ca')).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') as string });
  });

  it('says which permission is missing', async () => {
    server.fault = ({ verb }) => ({ status: 403, reason: 'Forbidden', message: `secrets is forbidden: cannot ${verb} resource "secrets"` });
    await expect(api().get('dd2-ca')).rejects.toMatchObject({ code: 'UNAUTHENTICATED', remedy: expect.stringContaining('verb "get" on secrets with the resourceName "dd2-ca"') as string });
    await expect(api().create(secret)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', remedy: expect.stringContaining('verb "create" on secrets') as string, message: expect.stringContaining('cannot create') as string });
    expect(retries).toEqual([]);
    server.fault = () => undefined;
    await expect(api({ access: { ...server.access, token: () => 'another' } }).get('dd2-ca')).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('does not accept the token') as string });
  });

  it('is the one of the cluster: another certificate is not accepted', async () => {
    const { certificate } = await createAuthority('other', { to: new Date(Date.now() + 86_400_000) });
    await expect(api({ access: { ...server.access, authority: certificate }, patienceMs: 20 }).get('dd2-ca')).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/certificate/) as string });
    expect(server.requests).toEqual([]);
  });

  it('says that there is no such namespace, and what it does not take', async () => {
    first({ status: 404, reason: 'NotFound', message: 'namespaces "team-a" not found' });
    await expect(api().create(secret)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: '--namespace' });
    await api().create(secret);
    const found = (await api().get(secret.name)) ?? expect.fail();
    first({ status: 422, reason: 'Invalid', message: 'data: Forbidden: field is immutable when `immutable` is set' });
    await expect(api().update(found, {})).rejects.toMatchObject({ code: 'PROTOCOL', message: expect.stringContaining('immutable') as string, remedy: expect.stringContaining('kubectl -n team-a delete secret') as string });
  });

  it.each([
    ['no JSON', '<html>sign in</html>'],
    ['another kind', '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"b","resourceVersion":"1"}}'],
    ['values that are no text', '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"b","resourceVersion":"1"},"data":{"token":{"secret":"x"}}}'],
  ])('must answer with a Secret: %s', async (_what, raw) => {
    first({ raw });
    const error = await api().get('dd2-ca').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'PROTOCOL', field: 'Secret dd2-ca' });
    expect(String(error)).not.toContain('sign in');
  });

  it('must not answer without end', async () => {
    server.fault = () => ({ raw: 'x'.repeat(5 * 2 ** 20) });
    await expect(api({ patienceMs: 20 }).get('dd2-ca')).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('more than') as string });
  });
});

describe('a ServiceAccount', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'dd2-serviceaccount-'));
    for (const name of ['token', 'ca.crt', 'namespace']) await writeFile(path.join(folder, name), `${name}\n`);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const environment = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

  it('is read from the files of the pod, its token again and again', async () => {
    const { token, ...access } = readServiceAccount(environment, folder);
    expect(access).toEqual({ host: '10.96.0.1', port: 443, authority: 'ca.crt', namespace: 'namespace' });
    expect(token()).toBe('token');
    await writeFile(path.join(folder, 'token'), 'renewed');
    expect(token()).toBe('renewed');
  });

  it('is needed', async () => {
    expect(() => readServiceAccount({}, folder)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'KUBERNETES_SERVICE_HOST', remedy: expect.stringContaining('dd2 kubernetes login') as string }));
    await writeFile(path.join(folder, 'token'), '');
    expect(() => readServiceAccount(environment, folder)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: path.join(folder, 'token') }));
    await rm(path.join(folder, 'ca.crt'));
    await writeFile(path.join(folder, 'token'), 'x');
    expect(() => readServiceAccount(environment, folder)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: path.join(folder, 'ca.crt') }));
  });
});
