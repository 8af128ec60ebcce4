import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import { checkToken } from '@dd2/proto';
import { writeWhole } from '../write-whole.js';
import { readSecret, type KubectlScope } from './kubectl.js';
import { API_TOKEN_SECRET, CLIENT_CERTIFICATE_SECRET } from './secrets.js';

/** What is written, and the Secret and key that it comes from. */
export const loginFiles = [
  { file: 'ca.crt', secret: CLIENT_CERTIFICATE_SECRET, key: 'ca.crt' },
  { file: 'client.crt', secret: CLIENT_CERTIFICATE_SECRET, key: 'tls.crt' },
  { file: 'client.key', secret: CLIENT_CERTIFICATE_SECRET, key: 'tls.key' },
  { file: 'token', secret: API_TOKEN_SECRET, key: 'token' },
] as const;

export interface LoginOptions extends KubectlScope {
  readonly folder: string;
  /** replace what is in the folder, whatever it is */
  readonly force: boolean;
}

export interface Login {
  /** absolute */
  readonly folder: string;
  /** end of the client's certificate */
  readonly expires: Date;
}

/**
 * Copies what a person needs to ask the coordinator from the cluster to a folder of this machine, readable by its owner only.
 * @throws {Dd2Error} as `readSecret` does; INVALID_ARGUMENT for a folder that holds something else
 */
export async function login({ folder: named, force, ...scope }: LoginOptions): Promise<Login> {
  const folder = path.resolve(named);
  const values = new Map<string, string>();
  for (const secret of [CLIENT_CERTIFICATE_SECRET, API_TOKEN_SECRET]) {
    const keys = loginFiles.filter((one) => one.secret === secret).map(({ key }) => key);
    for (const [key, value] of Object.entries(await readSecret(scope, secret, keys))) values.set(`${secret}/${key}`, value);
  }
  const contents = loginFiles.map(({ file, secret, key }) => ({ file, text: values.get(`${secret}/${key}`) ?? '' }));
  const expires = check(contents);
  if (!force) await refuseForeign(folder, contents);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    for (const { file, text } of contents) await writeWhole(path.join(folder, file), text, 0o600);
  } catch (cause) {
    throw new Dd2Error('INVALID_ARGUMENT', `cannot be written: ${messageOf(cause)}`, { field: folder, remedy: 'Choose a place that you may write to: --out', cause });
  }
  return { folder, expires };
}

type Contents = readonly { readonly file: string; readonly text: string }[];

/** What cannot be used is not written. */
function check(contents: Contents): Date {
  const text = (name: string): string => contents.find(({ file }) => file === name)?.text ?? '';
  checkToken(text('token'), `Secret ${API_TOKEN_SECRET}`);
  try {
    const certificate = new X509Certificate(text('client.crt'));
    const authority = new X509Certificate(text('ca.crt'));
    if (!certificate.checkPrivateKey(createPrivateKey(text('client.key')))) throw new Error('the private key does not belong to the certificate');
    if (!certificate.verify(authority.publicKey)) throw new Error('the certificate was not signed by the authority in ca.crt');
    return new Date(certificate.validTo);
  } catch (cause) {
    throw new Dd2Error('ASSET_CORRUPT', `the certificate cannot be used: ${messageOf(cause)}`, { field: `Secret ${CLIENT_CERTIFICATE_SECRET}`, remedy: 'Delete the Secret and start the coordinator again: it makes a new one', cause });
  }
}

/** A folder is our own when it has nothing but an earlier login to the same installation. */
async function refuseForeign(folder: string, contents: Contents): Promise<void> {
  const names = await readdir(folder).catch((cause: unknown): string[] => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw new Dd2Error('INVALID_ARGUMENT', `cannot be used as a folder: ${messageOf(cause)}`, { field: folder, remedy: 'Name another: --out', cause });
  });
  const known = new Set(contents.flatMap(({ file }) => [file, `${file}.new`]));
  const other = names.find((name) => !known.has(name));
  if (other !== undefined) throw new Dd2Error('INVALID_ARGUMENT', `the folder has something else in it: ${other}`, { field: folder, remedy: 'Name another with --out, or say --force' });
  if (!names.includes('ca.crt')) return;
  const [present, wanted] = [await readFile(path.join(folder, 'ca.crt'), 'utf8').catch(() => ''), contents.find(({ file }) => file === 'ca.crt')?.text];
  if (present !== wanted) {
    throw new Dd2Error('INVALID_ARGUMENT', 'the folder has the login of an installation with another authority', { field: folder, remedy: 'If that authority was replaced, say --force; for another cluster name another folder with --out' });
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
