import { execFile } from 'node:child_process';
import { Dd2Error } from '@dd2/core';
import { z } from 'zod';
import { MOST_BYTES, parseJson } from './parse-json.js';

/** Which cluster and namespace `kubectl` is asked about. */
export interface KubectlScope {
  readonly namespace: string;
  /** of the kubeconfig; the current one when absent */
  readonly context?: string | undefined;
}

const secret = z.object({ kind: z.literal('Secret'), data: z.record(z.string().max(253), z.string().max(2 ** 21)).nullish() });

/** Logging in to a cluster may open a browser first. */
const WAIT_MS = 180_000;

/** The arguments that come before a kubectl command. */
export function scopeArguments({ namespace, context }: KubectlScope): string[] {
  return [...(context === undefined ? [] : ['--context', context]), '-n', namespace];
}

/**
 * Values of a Secret, read with `kubectl`, which knows how to log in to the cluster.
 * @throws {Dd2Error} PROVIDER_UNAVAILABLE without kubectl, ASSET_MISSING when there is no such Secret, UNAUTHENTICATED when it may not be read, UNAVAILABLE
 */
export async function readSecret(scope: KubectlScope, name: string, keys: readonly string[]): Promise<Record<string, string>> {
  const where = { field: `Secret ${name} in namespace ${scope.namespace}` };
  const output = await kubectl([...scopeArguments(scope), 'get', 'secret', name, '-o', 'json'], scope, name);
  const parsed = secret.safeParse(parseJson(output));
  if (!parsed.success) throw new Dd2Error('PROTOCOL', 'kubectl printed something that is no Secret', { ...where, remedy: 'Look at `kubectl version`: 1.21 or later is needed' });
  return Object.fromEntries(
    keys.map((key) => {
      const encoded = parsed.data.data?.[key];
      if (encoded === undefined) throw new Dd2Error('ASSET_MISSING', `the Secret has no key ${key}`, { ...where, remedy: 'Look at the log of the init container `bootstrap` of the coordinator' });
      return [key, Buffer.from(encoded, 'base64').toString('utf8')];
    }),
  );
}

function kubectl(args: readonly string[], scope: KubectlScope, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('kubectl', args, { maxBuffer: MOST_BYTES, timeout: WAIT_MS, windowsHide: true }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failure(error, stderr, scope, name));
    });
    child.stdin?.end();
  });
}

function failure(cause: Error, stderr: string, { namespace }: KubectlScope, name: string): Dd2Error {
  const field = `Secret ${name} in namespace ${namespace}`;
  const said = lastLine(stderr);
  if ('code' in cause && cause.code === 'ENOENT') {
    return new Dd2Error('PROVIDER_UNAVAILABLE', 'there is no program kubectl on the PATH', { field: 'kubectl', remedy: 'Install it, or copy what `dd2 kubernetes login --print` says to where it is', cause });
  }
  if (/\(NotFound\)|not found/i.test(said)) {
    return new Dd2Error('ASSET_MISSING', `it is not there (yet): ${said}`, {
      field,
      remedy: `Look whether the coordinator has been started: kubectl -n ${namespace} get pods; kubectl -n ${namespace} logs dd2-coordinator-0 -c bootstrap. Another namespace: --namespace`,
      cause,
    });
  }
  if (/\(Forbidden\)|forbidden/i.test(said)) {
    return new Dd2Error('UNAUTHENTICATED', `it may not be read: ${said}`, { field, remedy: 'Ask whoever runs the cluster for the right to get this Secret, or for a copy of its values', cause });
  }
  if (/Unauthorized|must be logged in|provide credentials/i.test(said)) {
    return new Dd2Error('UNAUTHENTICATED', `kubectl is not logged in: ${said}`, { field, remedy: 'Log in to the cluster as usual; `kubectl get pods` tells whether it works', cause });
  }
  const why = 'killed' in cause && cause.killed === true ? `no answer within ${WAIT_MS / 1_000} s` : said === '' ? cause.message : said;
  return new Dd2Error('UNAVAILABLE', `kubectl could not read it: ${why}`, { field, remedy: 'Look whether `kubectl get pods` works, and whether --context names the right cluster', cause });
}

/** What kubectl says at the end; warnings come before. */
function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim().slice(0, 1_000) ?? '';
}
