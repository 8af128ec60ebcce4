import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import type { TlsFiles } from '@dd2/proto';

export type Role = 'server' | 'client';

/** The files of a folder with certificates. `tls.crt` and `tls.key` are what Kubernetes calls the pair of either role. */
export const files = {
  authority: { certificate: 'ca.crt', privateKey: 'ca.key' },
  server: { certificate: 'server.crt', privateKey: 'server.key' },
  client: { certificate: 'client.crt', privateKey: 'client.key' },
} as const;

/** A coordinator's certificates. With `ca.crt` in the folder its clients must show certificates too. @throws {Dd2Error} INVALID_ARGUMENT */
export function serverCertificates(folder: string): TlsFiles {
  const found = look(folder, 'server');
  if (found.certFile !== undefined) return found;
  throw nothingUseful(folder, `${files.server.certificate} and ${files.server.privateKey}`);
}

/** A worker's or a client's certificates: whom it trusts, and the one that it shows, if it has one. @throws {Dd2Error} INVALID_ARGUMENT */
export function clientCertificates(folder: string): TlsFiles {
  const found = look(folder, 'client');
  if (found.certFile !== undefined || found.caFile !== undefined) return found;
  throw nothingUseful(folder, files.authority.certificate);
}

function look(folder: string, role: Role): TlsFiles {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new Dd2Error('INVALID_ARGUMENT', `there is no folder ${folder}`, { field: '--certs', remedy: '`dd2 certs init` makes one with certificates' });
  }
  const existing = (name: string): string | undefined => (existsSync(path.join(folder, name)) ? path.join(folder, name) : undefined);
  const { certificate, privateKey } = files[role];
  const own = existing(certificate) === undefined ? { certFile: existing('tls.crt'), keyFile: existing('tls.key') } : { certFile: existing(certificate), keyFile: existing(privateKey) };
  return { ...own, caFile: existing(files.authority.certificate) };
}

function nothingUseful(folder: string, expected: string): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `${folder} has no ${expected}`, { field: '--certs', remedy: '`dd2 certs init` makes a folder with all that is needed' });
}
