import { request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import { z } from 'zod';
import { ownVersion } from '../versions.js';
import { MOST_BYTES, parseJson } from './parse-json.js';
import type { ApiAccess } from './service-account.js';

/** A Secret as the API has it; what is not named here is sent back as it came. */
export type StoredSecret = z.infer<typeof storedSecret>;

/** A Secret to make: the values are plain text. */
export interface NewSecret {
  readonly name: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, string>>;
}

/** The three calls that are needed, for the Secrets of one namespace. They wait while the API is away. */
export interface SecretsApi {
  /** undefined: there is none */
  get(name: string): Promise<StoredSecret | undefined>;
  /** undefined: somebody else has made it */
  create(secret: NewSecret): Promise<StoredSecret | undefined>;
  /** Replaces values of a Secret that is as it was read. undefined: it is not any more. */
  update(secret: StoredSecret, values: Readonly<Record<string, string>>): Promise<StoredSecret | undefined>;
}

export interface SecretsApiOptions {
  readonly access: ApiAccess;
  readonly namespace: string;
  /** an attempt failed and is made again */
  readonly onRetry?: (problem: string) => void;
  /** how long the API may be away */
  readonly patienceMs?: number;
  /** the wait after the first attempt that fails; it doubles from one to the next */
  readonly firstWaitMs?: number;
}

const storedSecret = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  type: z.string().optional(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string(), resourceVersion: z.string(), labels: z.record(z.string(), z.string()).optional() }),
  data: z.record(z.string(), z.string()).nullish(),
});
const status = z.looseObject({ kind: z.literal('Status'), message: z.string().optional(), reason: z.string().optional() });

const PATIENCE_MS = 120_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const REQUEST_MS = 15_000;

/** The value of a key as text; undefined when the Secret has no such key. */
export function valueOf(secret: StoredSecret, key: string): string | undefined {
  const encoded = secret.data?.[key];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8');
}

/** @throws {Dd2Error} from its calls: UNAUTHENTICATED for what the ServiceAccount may not do, UNAVAILABLE when the API stays away */
export function createSecretsApi({ access, namespace, onRetry, patienceMs = PATIENCE_MS, firstWaitMs = FIRST_WAIT_MS }: SecretsApiOptions): SecretsApi {
  const folder = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
  const call = async (method: 'GET' | 'POST' | 'PUT', name: string, body?: object): Promise<Answer> => {
    const place = method === 'POST' ? folder : `${folder}/${encodeURIComponent(name)}`;
    const verb = ({ GET: 'get', POST: 'create', PUT: 'update' } as const)[method];
    const what = `${verb} Secret ${name} in namespace ${namespace}`;
    const answer = await untilAnswered(() => send(access, method, place, body), { what, onRetry, patienceMs, firstWaitMs });
    if (answer.status === 401) {
      throw new Dd2Error('UNAUTHENTICATED', `the Kubernetes API does not accept the token of the ServiceAccount: ${reasonOf(answer)}`, { field: what, remedy: 'Does the ServiceAccount still exist? Make the pod again' });
    }
    if (answer.status === 403) {
      const allowed = verb === 'create' ? 'verb "create" on secrets' : `verb "${verb}" on secrets with the resourceName "${name}"`;
      throw new Dd2Error('UNAUTHENTICATED', `the Kubernetes API does not allow it: ${reasonOf(answer)}`, { field: what, remedy: `Apply the Role and the RoleBinding of the coordinator (infra/k8s/base), or add ${allowed}` });
    }
    return answer;
  };
  return {
    get: async (name) => {
      const answer = await call('GET', name);
      return answer.status === 404 ? undefined : secretOf(answer, name, namespace);
    },
    create: async ({ name, type, labels, values }) => {
      const answer = await call('POST', name, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, labels }, type, data: encoded(values) });
      if (answer.status === 404) throw new Dd2Error('INVALID_ARGUMENT', `there is no namespace ${namespace}: ${reasonOf(answer)}`, { field: '--namespace', remedy: 'Apply infra/k8s, which makes it' });
      return answer.status === 409 ? undefined : secretOf(answer, name, namespace);
    },
    update: async (secret, values) => {
      const { name } = secret.metadata;
      const answer = await call('PUT', name, { ...secret, data: { ...secret.data, ...encoded(values) } });
      // Somebody has changed it, or deleted it.
      return answer.status === 409 || answer.status === 404 ? undefined : secretOf(answer, name, namespace);
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** what the server asks to wait before the next attempt */
  readonly retryAfterMs: number;
}

interface Patience {
  readonly what: string;
  readonly onRetry: SecretsApiOptions['onRetry'] | undefined;
  readonly patienceMs: number;
  readonly firstWaitMs: number;
}

/** An attempt whose answer was lost may have been carried out: the next one finds the Secret, or that it has changed. */
async function untilAnswered(attempt: () => Promise<Answer>, { what, onRetry, patienceMs, firstWaitMs }: Patience): Promise<Answer> {
  const end = Date.now() + patienceMs;
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(LONGEST_WAIT_MS, 2 * waitMs)) {
    let problem: string;
    let cause: unknown;
    let retryAfterMs = 0;
    try {
      const answer = await attempt();
      if (answer.status !== 429 && answer.status < 500) return answer;
      problem = `it answers ${answer.status}: ${reasonOf(answer)}`;
      ({ retryAfterMs } = answer);
    } catch (thrown) {
      if (thrown instanceof Dd2Error) throw thrown;
      problem = thrown instanceof Error ? thrown.message : String(thrown);
      cause = thrown;
    }
    const nextMs = Math.max(waitMs, Math.min(retryAfterMs, 3 * LONGEST_WAIT_MS));
    if (Date.now() + nextMs > end) {
      throw new Dd2Error('UNAVAILABLE', `the Kubernetes API could not be used for ${Math.round(patienceMs / 1_000)} s: ${problem}`, {
        field: what,
        remedy: 'Look whether the API server is up, and whether a NetworkPolicy lets the coordinator reach it',
        cause,
      });
    }
    onRetry?.(problem);
    await delay(nextMs);
  }
}

function send({ host, port, authority, token }: ApiAccess, method: string, path: string, body?: object): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${token()}`,
    accept: 'application/json',
    'user-agent': `dd2/${ownVersion()}`,
    ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  return new Promise((resolve, reject) => {
    const request = httpsRequest({ host, port, ca: authority, method, path, headers, agent: false, signal: AbortSignal.timeout(REQUEST_MS) }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MOST_BYTES) response.destroy(new Error(`the answer has more than ${MOST_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const retryAfterMs = 1_000 * Number(response.headers['retry-after'] ?? 0);
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), retryAfterMs: Number.isFinite(retryAfterMs) ? retryAfterMs : 0 });
      });
    });
    request.on('error', (error) => reject(error.name === 'AbortError' || error.name === 'TimeoutError' ? new Error(`no answer within ${REQUEST_MS / 1_000} s`, { cause: error }) : error));
    request.end(text);
  });
}

function secretOf(answer: Answer, name: string, namespace: string): StoredSecret {
  if (answer.status !== 200 && answer.status !== 201) {
    throw new Dd2Error('PROTOCOL', `the Kubernetes API answers ${answer.status}: ${reasonOf(answer)}`, { field: `Secret ${name}`, remedy: answer.status === 422 ? `If it is immutable, delete it (kubectl -n ${namespace} delete secret ${name}) and start the pod again` : undefined });
  }
  const parsed = storedSecret.safeParse(parseJson(answer.body));
  if (parsed.success) return parsed.data;
  // What is wrong with it is told by place only: the values are secret.
  throw new Dd2Error('PROTOCOL', `the Kubernetes API answered with something that is no Secret: ${parsed.error.issues.map(({ path }) => path.join('.')).join(', ')}`, { field: `Secret ${name}`, remedy: 'Is there a proxy in between?' });
}

/** What a Status says; never a Secret's content. */
function reasonOf({ body, status: code }: Answer): string {
  const parsed = status.safeParse(parseJson(body));
  const said = parsed.success ? (parsed.data.message ?? parsed.data.reason) : undefined;
  return said ?? `status ${code} without a reason`;
}

function encoded(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
}
