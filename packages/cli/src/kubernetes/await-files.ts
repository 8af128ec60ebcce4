import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import { TlsCertificates } from '@dd2/proto';
import { serverCertificates } from '../certs/folder.js';

export interface AwaitOptions {
  /** folder with the certificates of a server */
  readonly certs?: string | undefined;
  readonly files: readonly string[];
  readonly timeoutMs: number;
  /** called again and again while something is missing */
  readonly onWait: (missing: readonly string[]) => void;
  readonly pollMs?: number;
  readonly tellEveryMs?: number;
}

const POLL_MS = 1_000;
const TELL_EVERY_MS = 10_000;

/**
 * Waits until the files are there with something in them, and the certificates can be used: the kubelet brings Secrets that were made
 * after the pod was started.
 * @throws {Dd2Error} UNAVAILABLE with what is still missing
 */
export async function awaitFiles({ certs, files, timeoutMs, onWait, pollMs = POLL_MS, tellEveryMs = TELL_EVERY_MS }: AwaitOptions): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (let tellAt = Date.now(); ; ) {
    const missing = (await Promise.all([...(certs === undefined ? [] : [certificatesMissing(certs)]), ...files.map(fileMissing)])).filter((one) => one !== undefined);
    if (missing.length === 0) return;
    if (Date.now() >= end) {
      throw new Dd2Error('UNAVAILABLE', `not there after ${Math.round(timeoutMs / 1_000)} s: ${missing.join('; ')}`, {
        remedy: 'Look at the log of the init container `bootstrap`, and whether the Secrets are in this namespace (`kubectl get secrets`); the kubelet may take two minutes to bring new ones',
      });
    }
    if (Date.now() >= tellAt) {
      onWait(missing);
      tellAt = Date.now() + tellEveryMs;
    }
    await delay(Math.min(pollMs, Math.max(0, end - Date.now())));
  }
}

async function fileMissing(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() === '' ? `${file} is empty` : undefined;
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? file : `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
}

async function certificatesMissing(folder: string): Promise<string | undefined> {
  for (const name of ['tls.crt', 'tls.key', 'ca.crt']) {
    const missing = await fileMissing(path.join(folder, name));
    if (missing !== undefined) return missing;
  }
  try {
    TlsCertificates.load(serverCertificates(folder));
    return undefined;
  } catch (thrown) {
    const { problem, field = folder } = Dd2Error.from(thrown);
    return `${field} cannot be used: ${problem}`;
  }
}
