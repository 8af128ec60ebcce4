import { spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAuthority, hostsOf, issueCertificate } from './certificates.js';
import { CertificateFolder, tomorrow } from './testing/certificate-folder.js';

let folder: CertificateFolder;
beforeAll(async () => {
  folder = await CertificateFolder.make();
});
afterAll(() => folder.remove());

it('signs certificates that name their hosts', async () => {
  const { certificate, privateKey } = await issueCertificate(folder.authority, { purpose: 'server', name: 'a, b=c', hosts: ['node-1.example', '10.0.0.5', '::1'], to: tomorrow() });
  const authority = new X509Certificate(folder.authority.certificate);
  const leaf = new X509Certificate(certificate);
  expect(leaf.checkIssued(authority) && leaf.verify(authority.publicKey) && leaf.checkPrivateKey(createPrivateKey(privateKey))).toBe(true);
  expect([authority.ca, leaf.ca]).toEqual([true, false]);
  expect(leaf.subject).toBe('CN=a\\, b=c');
  expect(hostsOf(certificate)).toEqual(['node-1.example', '10.0.0.5', '::1']);
  expect([leaf.checkHost('node-1.example'), leaf.checkIP('10.0.0.5'), leaf.checkHost('other.example')]).toEqual(['node-1.example', '10.0.0.5', undefined]);
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
});

it('signs nothing twice with one number', async () => {
  const numbers = await Promise.all(Array.from({ length: 20 }, async () => new X509Certificate((await createAuthority('x', { to: tomorrow() })).certificate).serialNumber));
  expect(new Set(numbers).size).toBe(20);
});

it.skipIf(spawnSync('openssl', ['version']).status !== 0)('satisfies OpenSSL, for its purpose only', async () => {
  await folder.issue('server');
  await folder.issue('client');
  const verify = (name: string, purpose: string) => spawnSync('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', folder.file('ca.crt'), folder.file(`${name}.crt`)]).status;
  expect([verify('server', 'sslserver'), verify('client', 'sslclient')]).toEqual([0, 0]);
  expect(verify('server', 'sslclient')).not.toBe(0);
  expect(verify('client', 'sslserver')).not.toBe(0);
});
