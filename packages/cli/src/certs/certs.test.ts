import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TlsCertificates } from '@dd2/proto';
import { hostsOf } from '@dd2/proto/certificates';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientCertificates, serverCertificates } from './folder.js';
import { makeCertificates } from './make-certificates.js';

let parent = '';
let folder = '';
beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'dd2-certs-'));
  folder = path.join(parent, 'certs');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const make = (options: { hosts?: string[]; force?: boolean; renew?: boolean } = {}) => makeCertificates({ folder, hosts: [], force: false, renew: false, ...options });
const read = (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8');

describe('certificates', () => {
  it('are made for server and client, with keys that are their owner’s only', async () => {
    const { hosts, expires } = await make({ hosts: ['node-1', '10.0.0.5'] });
    const names = (await readdir(folder)).sort();
    expect(names).toEqual(['ca.crt', 'ca.key', 'client.crt', 'client.key', 'server.crt', 'server.key']);
    const modes = await Promise.all(['.', ...names].map(async (name) => ((await stat(path.join(folder, name))).mode & 0o777).toString(8)));
    expect(modes).toEqual(['700', '644', '600', '644', '600', '644', '600']);
    expect(hosts).toEqual(expect.arrayContaining(['localhost', '127.0.0.1', '::1', 'node-1', '10.0.0.5']));
    expect(hostsOf(await read('server.crt'))).toEqual(hosts);
    const [authority, server, client] = [new X509Certificate(await read('ca.crt')), new X509Certificate(await read('server.crt')), new X509Certificate(await read('client.crt'))];
    for (const leaf of [server, client]) {
      expect(leaf.verify(authority.publicKey)).toBe(true);
      expect(Math.abs(Date.parse(leaf.validTo) - expires.getTime())).toBeLessThan(1_000);
    }
    TlsCertificates.load(serverCertificates(folder)).serverCredentials();
    TlsCertificates.load(clientCertificates(folder)).channelCredentials('localhost');
  });

  it('are not replaced by accident', async () => {
    await make();
    const before = await read('ca.crt');
    await expect(make()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', remedy: expect.stringContaining('--renew') as string });
    expect(await read('ca.crt')).toBe(before);
    await make({ force: true });
    expect(await read('ca.crt')).not.toBe(before);
  });

  it('are renewed by the same authority for the same hosts and more', async () => {
    const { hosts } = await make({ hosts: ['node-1', 'fd00::1'] });
    const before = { ca: await read('ca.crt'), server: await read('server.crt'), client: await read('client.crt') };
    for (let i = 0; i < 2; i++) expect((await make({ renew: true, hosts: ['node-2'] })).hosts).toEqual([...hosts, 'node-2']);
    expect(await read('ca.crt')).toBe(before.ca);
    expect(await read('server.crt')).not.toBe(before.server);
    expect(await read('client.crt')).not.toBe(before.client);
    expect(new X509Certificate(await read('server.crt')).verify(new X509Certificate(before.ca).publicKey)).toBe(true);
  });

  it('are renewed where the authority is only', async () => {
    await expect(make({ renew: true })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('no authority that can sign') as string });
    await make();
    await rm(path.join(folder, 'ca.key'));
    await expect(make({ renew: true })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(make()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await rename(path.join(folder, 'server.key'), path.join(folder, 'ca.key'));
    await expect(make({ renew: true })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('say where they cannot be written', async () => {
    await writeFile(folder, 'a file');
    await expect(make()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: expect.stringContaining(folder) as string });
  });
});

describe('a folder', () => {
  it('without an authority is for a server that asks nobody for a certificate', async () => {
    await make();
    await rm(path.join(folder, 'ca.crt'));
    expect(serverCertificates(folder)).toEqual({ certFile: path.join(folder, 'server.crt'), keyFile: path.join(folder, 'server.key'), caFile: undefined });
  });

  it('may be a mounted secret', async () => {
    await mkdir(folder);
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) await writeFile(path.join(folder, name), '');
    const expected = { certFile: path.join(folder, 'tls.crt'), keyFile: path.join(folder, 'tls.key'), caFile: path.join(folder, 'ca.crt') };
    expect([serverCertificates(folder), clientCertificates(folder)]).toEqual([expected, expected]);
  });

  it('may be a copy for a client: an authority is enough', async () => {
    await mkdir(folder);
    await writeFile(path.join(folder, 'ca.crt'), '');
    expect(clientCertificates(folder)).toEqual({ caFile: path.join(folder, 'ca.crt') });
    expect(() => serverCertificates(folder)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('server.crt') as string }));
  });

  it('that is empty or missing is refused', async () => {
    for (const find of [serverCertificates, clientCertificates]) expect(() => find(folder)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: '--certs', message: expect.stringContaining('there is no folder') as string }));
    await mkdir(folder);
    for (const find of [serverCertificates, clientCertificates]) expect(() => find(folder)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field: '--certs' }));
  });
});
