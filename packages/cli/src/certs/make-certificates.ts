import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import type { CertifiedKey } from '@dd2/proto/certificates';
import { writeWhole } from '../write-whole.js';
import { files } from './folder.js';

export interface MakeCertificatesOptions {
  readonly folder: string;
  /** names and addresses of the coordinator, besides those of this machine */
  readonly hosts: readonly string[];
  /** replace an authority that is there: what it signed counts no more */
  readonly force: boolean;
  /** keep the authority that is there and make new certificates for server and client */
  readonly renew: boolean;
}

export interface MadeCertificates {
  /** what the server's certificate is for */
  readonly hosts: readonly string[];
  readonly expires: Date;
}

const YEAR_MS = 365 * 86_400_000;
const AUTHORITY_YEARS = 10;
const LEAF_YEARS = 1;

/** What a coordinator on this machine is called by this machine. */
const localHosts = (): string[] => ['localhost', '127.0.0.1', '::1', hostname()];

/**
 * Makes an authority, and certificates for a coordinator and its clients that it signs.
 * @throws {Dd2Error} INVALID_ARGUMENT when there is an authority already (without `force` or `renew`), or none to renew from
 */
export async function makeCertificates({ folder, hosts, force, renew }: MakeCertificatesOptions): Promise<MadeCertificates> {
  // Reading the library takes longer than most commands do.
  const { createAuthority, hostsOf, issueCertificate } = await import('@dd2/proto/certificates');
  const found = await readAuthority(folder);
  if (found && !force && !renew) {
    throw new Dd2Error('INVALID_ARGUMENT', `${folder} has an authority already`, { field: '--dir', remedy: 'Say --renew for new certificates of it, --force for a new authority, or choose another folder' });
  }
  if (renew && !(found && canSign(found))) {
    throw new Dd2Error('INVALID_ARGUMENT', `${folder} has no authority that can sign`, { field: '--dir', remedy: `Name the folder where it was made: with ${Object.values(files.authority).join(' and ')}` });
  }
  const now = Date.now();
  const authority = renew && found ? found : await createAuthority('dd2', { to: new Date(now + AUTHORITY_YEARS * YEAR_MS) });
  const expires = new Date(Math.min(now + LEAF_YEARS * YEAR_MS, Date.parse(new X509Certificate(authority.certificate).validTo)));
  const earlier = renew ? await readText(path.join(folder, files.server.certificate)) : undefined;
  const all = [...new Set([...localHosts(), ...(earlier === undefined ? [] : hostsOf(earlier)), ...hosts])];
  const server = await issueCertificate(authority, { purpose: 'server', name: 'dd2 coordinator', hosts: all, to: expires });
  const client = await issueCertificate(authority, { purpose: 'client', name: 'dd2 client', to: expires });
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw cannotWrite(folder, cause);
  });
  if (authority !== found) await writePair(folder, files.authority, authority);
  await writePair(folder, files.server, server);
  await writePair(folder, files.client, client);
  return { hosts: all, expires };
}

/** What a folder has of an authority; a copy for another machine is without the private key. */
async function readAuthority(folder: string): Promise<CertifiedKey | undefined> {
  const certificate = await readText(path.join(folder, files.authority.certificate));
  const privateKey = await readText(path.join(folder, files.authority.privateKey));
  return certificate === undefined && privateKey === undefined ? undefined : { certificate: certificate ?? '', privateKey: privateKey ?? '' };
}

function canSign({ certificate, privateKey }: CertifiedKey): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    return parsed.checkPrivateKey(createPrivateKey(privateKey)) && Date.parse(parsed.validTo) > Date.now();
  } catch {
    return false;
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new Dd2Error('INVALID_ARGUMENT', `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { field: file, cause });
  }
}

async function writePair(folder: string, names: { readonly certificate: string; readonly privateKey: string }, { certificate, privateKey }: CertifiedKey): Promise<void> {
  await write(path.join(folder, names.privateKey), privateKey, 0o600);
  await write(path.join(folder, names.certificate), certificate, 0o644);
}

async function write(file: string, text: string, mode: number): Promise<void> {
  await writeWhole(file, text, mode).catch((cause: unknown) => {
    throw cannotWrite(file, cause);
  });
}

function cannotWrite(file: string, cause: unknown): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { field: file, remedy: 'Choose a place that you may write to', cause });
}
