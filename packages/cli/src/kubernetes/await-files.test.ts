import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAuthority, issueCertificate } from '@dd2/proto/certificates';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { awaitFiles, type AwaitOptions } from './await-files.js';

let folder = '';
let told: (readonly string[])[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dd2-await-'));
  told = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const wait = (options: Partial<AwaitOptions> = {}): Promise<void> =>
  awaitFiles({ certs: path.join(folder, 'certs'), files: [path.join(folder, 'tokens/join')], timeoutMs: 10_000, onWait: (missing) => void told.push(missing), pollMs: 5, tellEveryMs: 20, ...options });

/** What a Secret with a certificate of a server brings. */
async function certificates(place: string, to = new Date(Date.now() + 86_400_000)): Promise<void> {
  const authority = await createAuthority('dd2', { to });
  const { certificate, privateKey } = await issueCertificate(authority, { purpose: 'server', name: 'dd2 coordinator', hosts: ['localhost'], from: new Date(to.getTime() - 86_400_000), to });
  await mkdir(place, { recursive: true });
  for (const [name, text] of Object.entries({ 'tls.crt': certificate, 'tls.key': privateKey, 'ca.crt': authority.certificate })) await writeFile(path.join(place, name), text);
}

it('waits until everything is there', async () => {
  const waiting = wait();
  await expect.poll(() => told.length).toBeGreaterThan(1);
  expect(told[0]).toEqual([path.join(folder, 'certs/tls.crt'), path.join(folder, 'tokens/join')]);
  await mkdir(path.join(folder, 'tokens'));
  await writeFile(path.join(folder, 'tokens/join'), '');
  await expect.poll(() => told.at(-1)?.[1]).toContain('is empty');
  await writeFile(path.join(folder, 'tokens/join'), 'a token');
  await expect.poll(() => told.at(-1)?.length).toBe(1);
  await certificates(path.join(folder, 'new'));
  await rename(path.join(folder, 'new'), path.join(folder, 'certs'));
  await waiting;
  const before = told.length;
  await wait();
  expect(told).toHaveLength(before);
});

it('tells what is missing when it gives up', async () => {
  const failed = wait({ timeoutMs: 30 });
  await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(path.join(folder, 'tokens/join')) as string, remedy: expect.stringContaining('bootstrap') as string });
});

it('does not take certificates that cannot be used', async () => {
  const certs = path.join(folder, 'certs');
  await certificates(certs, new Date(Date.now() - 1_000));
  await expect(wait({ files: [], timeoutMs: 30 })).rejects.toThrow('expired');
  await certificates(certs);
  await rm(path.join(certs, 'ca.crt'));
  await expect(wait({ files: [], timeoutMs: 30 })).rejects.toThrow('certs/ca.crt');
  await writeFile(path.join(certs, 'ca.crt'), 'hello');
  await expect(wait({ files: [], timeoutMs: 30 })).rejects.toThrow('not the PEM');
});
