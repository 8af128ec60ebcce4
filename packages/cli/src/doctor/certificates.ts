import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { files } from '../certs/folder.js';
import type { Finding } from './finding.js';

const CHECK = 'certificates';
const DAY_MS = 86_400_000;
/** Time to renew without haste. */
const SOON_DAYS = 30;

/** Whether the certificates of a folder are valid now and for a while, belong together, and are nobody else's to read. */
export function checkCertificates(folder: string, now = Date.now()): Finding[] {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return [{ check: CHECK, status: 'problem', message: `there is no folder ${folder}`, remedy: '`dd2 certs init` makes one with certificates' }];
  }
  const authority = read(path.join(folder, files.authority.certificate));
  const pairs = [files.server, files.client, { certificate: 'tls.crt', privateKey: 'tls.key' }].filter(({ certificate }) => existsSync(path.join(folder, certificate)));
  if (authority === undefined && pairs.length === 0) return [{ check: CHECK, status: 'problem', message: `${folder} has no certificates`, remedy: '`dd2 certs init` makes a folder with all that is needed' }];
  const findings: Finding[] = authority === undefined ? [] : [validity(files.authority.certificate, authority, now, '`dd2 certs init --force` makes a new authority; give all machines the new folder')];
  for (const { certificate, privateKey } of pairs) {
    const own = read(path.join(folder, certificate));
    if (own === undefined || own === 'unreadable') {
      findings.push({ check: CHECK, status: 'problem', message: `${certificate} is no certificate, or cannot be read`, remedy: '`dd2 certs init --renew` makes it again' });
      continue;
    }
    findings.push(validity(certificate, own, now, '`dd2 certs init --renew` makes new ones; they are read while everything runs'));
    if (authority instanceof X509Certificate && !own.checkIssued(authority)) {
      findings.push({ check: CHECK, status: 'problem', message: `${certificate} is not signed by ${files.authority.certificate} of the same folder`, remedy: 'Copy both from the same `dd2 certs init`' });
    }
    findings.push(...keyOf(folder, privateKey));
  }
  return findings;
}

function validity(name: string, certificate: X509Certificate | 'unreadable', now: number, renew: string): Finding {
  if (certificate === 'unreadable') return { check: CHECK, status: 'problem', message: `${name} is no certificate, or cannot be read`, remedy: renew };
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const days = Math.floor((to - now) / DAY_MS);
  const details = { file: name, expires: new Date(to).toISOString(), days };
  if (now < from) return { check: CHECK, status: 'problem', message: `${name} is valid from ${new Date(from).toISOString().slice(0, 10)} on only`, remedy: 'Is the clock of this machine right?', details };
  if (now >= to) return { check: CHECK, status: 'problem', message: `${name} expired on ${new Date(to).toISOString().slice(0, 10)}`, remedy: renew, details };
  if (days < SOON_DAYS) return { check: CHECK, status: 'warning', message: `${name} expires in ${days} ${days === 1 ? 'day' : 'days'}`, remedy: renew, details };
  return { check: CHECK, status: 'ok', message: `${name} is valid for ${days} more days`, details };
}

function keyOf(folder: string, name: string): Finding[] {
  const found = statSync(path.join(folder, name), { throwIfNoEntry: false });
  if (found === undefined) return [{ check: CHECK, status: 'problem', message: `${name} is missing`, remedy: 'Copy it from where the certificates were made, or `dd2 certs init --renew`' }];
  if (!readableByOthers(found, process.getuid?.())) return [];
  return [{ check: CHECK, status: 'warning', message: `${name} can be read by others on this machine`, remedy: `chmod 600 ${path.join(folder, name)}` }];
}

/** A key that belongs to another user is readable here because of its group: Kubernetes puts Secrets into pods in that way. */
export function readableByOthers({ mode, uid }: { readonly mode: number; readonly uid: number }, self: number | undefined): boolean {
  // Windows has no such mode.
  if (self === undefined) return false;
  return (mode & (uid === self || self === 0 ? 0o077 : 0o007)) !== 0;
}

function read(file: string): X509Certificate | 'unreadable' | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return new X509Certificate(readFileSync(file));
  } catch {
    return 'unreadable';
  }
}
