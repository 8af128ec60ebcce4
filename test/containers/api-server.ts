import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { z } from 'zod';
import { mayAccess, type Access } from './access-rules.js';
import type { Role, RoleBinding } from './objects.js';

const secret = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata: z.strictObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
    uid: z.string().optional(),
    resourceVersion: z.string().optional(),
    creationTimestamp: z.string().optional(),
  }),
  type: z.string().default('Opaque'),
  data: z.record(z.string(), z.base64()).default({}),
  stringData: z.record(z.string(), z.string()).optional(),
  immutable: z.boolean().optional(),
});

/** A Secret as it is stored: its data in base 64. */
export type Secret = z.infer<typeof secret>;

/** Who shows a token: the service account of a pod, or somebody who may do anything, as whoever sets a cluster up may. */
export type Identity = { readonly kind: 'pod'; readonly namespace: string; readonly serviceAccount: string; readonly podUid: string } | { readonly kind: 'administrator' };

const nameOf = (identity: Identity): string => (identity.kind === 'pod' ? `system:serviceaccount:${identity.namespace}:${identity.serviceAccount}` : identity.kind);

/** What `kubectl` asks before anything else. */
const discovery: Readonly<Record<string, unknown>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: 'v1',
    resources: [{ name: 'secrets', singularName: 'secret', kind: 'Secret', namespaced: true, verbs: ['create', 'delete', 'get', 'list', 'patch', 'update'] }],
  },
};

/** One request, for the record. */
export interface ApiRequest {
  readonly who: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

/** A refusal, as the API server words it. */
class Refusal extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

/** Methods on an object, and on a collection, and what access rules call them. */
const VERBS: Readonly<Record<string, { readonly object?: string; readonly collection?: string }>> = {
  GET: { object: 'get', collection: 'list' },
  POST: { collection: 'create' },
  PUT: { object: 'update' },
  PATCH: { object: 'patch' },
  DELETE: { object: 'delete' },
};

/**
 * The part of a Kubernetes API server that installations need: Secrets of one namespace, for pods that show the token of their service account,
 * under the access rules of the manifests.
 */
export class ApiServer {
  readonly secrets = new Map<string, Secret>();
  /** token -> whose it is */
  readonly tokens = new Map<string, Identity>();
  readonly requests: ApiRequest[] = [];
  readonly #server: Server;
  #version = 1;

  private constructor(
    certificate: { readonly cert: string; readonly key: string },
    readonly namespace: string,
    readonly access: { readonly roles: readonly Role[]; readonly bindings: readonly RoleBinding[] },
  ) {
    this.#server = createServer(certificate, (request, response) => void this.#serve(request, response));
  }

  static async listen(
    at: { readonly address: string; readonly port: number },
    certificate: { readonly cert: string; readonly key: string },
    namespace: string,
    access: { readonly roles: readonly Role[]; readonly bindings: readonly RoleBinding[] },
  ): Promise<ApiServer> {
    const api = new ApiServer(certificate, namespace, access);
    api.#server.listen(at.port, at.address);
    await once(api.#server, 'listening');
    return api;
  }

  /** Replaces values of a Secret, as `kubectl patch` does. */
  patch(name: string, data: Readonly<Record<string, string>>): void {
    const stored = this.secrets.get(name);
    if (!stored) throw new Error(`there is no Secret ${name}`);
    this.#store({ ...stored, data: { ...stored.data, ...data } });
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const { pathname } = new URL(url, 'https://api');
    let who = 'system:anonymous';
    let answer: { code: number; body: unknown };
    try {
      const identity = this.#authenticate(request);
      who = nameOf(identity);
      const found = method === 'GET' ? discovery[pathname] : undefined;
      answer = found === undefined ? await this.#handle(identity, request, pathname) : { code: 200, body: found };
    } catch (error) {
      const { code, reason, message } = error instanceof Refusal ? error : new Refusal(400, 'BadRequest', String(error));
      answer = { code, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code } };
    }
    this.requests.push({ who, method, path: pathname, status: answer.code });
    response.writeHead(answer.code, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  }

  #authenticate(request: IncomingMessage): Identity {
    const [, token = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
    const identity = this.tokens.get(token);
    if (!identity) throw new Refusal(401, 'Unauthorized', 'Unauthorized');
    return identity;
  }

  async #handle(identity: Identity, request: IncomingMessage, path: string): Promise<{ code: number; body: unknown }> {
    const { method = '' } = request;
    const [, namespace = '', resource = '', name] = /^\/api\/v1\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
    const verb = VERBS[method]?.[name === undefined ? 'collection' : 'object'];
    if (verb === undefined) throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
    const access: Access = { verb, apiGroup: '', resource, ...(name === undefined ? {} : { name }) };
    if (!this.#may(identity, namespace, access)) {
      const what = `${resource}${name === undefined ? '' : ` "${name}"`}`;
      throw new Refusal(403, 'Forbidden', `${what} is forbidden: User "${nameOf(identity)}" cannot ${verb} resource "${resource}" in API group "" in the namespace "${namespace}"`);
    }
    if (resource !== 'secrets') throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
    if (name === undefined) {
      if (verb === 'list') return { code: 200, body: { kind: 'SecretList', apiVersion: 'v1', metadata: {}, items: [...this.secrets.values()] } };
      const made = secret.parse(await bodyOf(request));
      if (this.secrets.has(made.metadata.name)) throw new Refusal(409, 'AlreadyExists', `secrets "${made.metadata.name}" already exists`);
      return { code: 201, body: this.#store(made) };
    }
    const stored = this.secrets.get(name);
    if (!stored) throw new Refusal(404, 'NotFound', `secrets "${name}" not found`);
    if (verb === 'get') return { code: 200, body: stored };
    if (verb === 'delete') {
      this.secrets.delete(name);
      return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } };
    }
    const change = await bodyOf(request);
    if (verb === 'patch') {
      const type = request.headers['content-type']?.split(';')[0];
      // for the fields of a Secret, maps of strings, the two are the same
      if (type !== 'application/merge-patch+json' && type !== 'application/strategic-merge-patch+json') throw new Refusal(415, 'UnsupportedMediaType', `patches of type ${type} are not taken here`);
    }
    const next = secret.parse(verb === 'patch' ? merged(stored, change) : change);
    if (next.metadata.name !== name) throw new Refusal(400, 'BadRequest', 'the name of the object does not match the name on the URL');
    const { resourceVersion } = next.metadata;
    if (resourceVersion !== undefined && resourceVersion !== stored.metadata.resourceVersion) {
      throw new Refusal(409, 'Conflict', `Operation cannot be fulfilled on secrets "${name}": the object has been modified; please apply your changes to the latest version and try again`);
    }
    if (next.type !== stored.type) throw new Refusal(422, 'Invalid', `Secret "${name}" is invalid: type: Invalid value: "${next.type}": field is immutable`);
    return { code: 200, body: this.#store({ ...next, metadata: { ...stored.metadata, ...next.metadata } }) };
  }

  #may(identity: Identity, namespace: string, access: Access): boolean {
    if (identity.kind === 'administrator') return true;
    return namespace === this.namespace && identity.namespace === this.namespace && mayAccess(identity.serviceAccount, access, this.access.roles, this.access.bindings);
  }

  #store({ stringData = {}, ...made }: Secret): Secret {
    const data = { ...made.data, ...Object.fromEntries(Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString('base64')])) };
    const needed = made.type === 'kubernetes.io/tls' ? ['tls.crt', 'tls.key'] : [];
    const missing = needed.filter((key) => data[key] === undefined);
    if (missing.length > 0) throw new Refusal(422, 'Invalid', `Secret "${made.metadata.name}" is invalid: data[${missing.join()}]: Required value`);
    const metadata = {
      uid: randomUUID(),
      creationTimestamp: new Date().toISOString().replace(/\.\d+/, ''),
      ...made.metadata,
      namespace: this.namespace,
      resourceVersion: String(this.#version++),
    };
    const stored = { ...made, metadata, data };
    this.secrets.set(metadata.name, stored);
    return stored;
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text);
}

/** A JSON merge patch (RFC 7396). */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = { ...(typeof target === 'object' && !Array.isArray(target) ? target : {}) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}
