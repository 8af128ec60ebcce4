import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority, issueCertificate } from '@dd2/proto/certificates';
import type { ApiAccess } from '../service-account.js';

/** What a request asks for, before it is carried out. */
export interface FakeRequest {
  readonly verb: 'get' | 'create' | 'update' | 'other';
  readonly name: string;
  readonly authorization: string;
  readonly body: Secret | undefined;
}

/** An answer instead of the usual one; `drop` closes the connection without any, `lose` carries it out first. */
export type Fault = { readonly status: number; readonly reason: string; readonly message: string; readonly headers?: Record<string, string> } | { readonly raw: string } | 'drop' | 'lose' | undefined;

interface Secret {
  type?: string;
  metadata: { name: string; resourceVersion?: string; labels?: Record<string, string>; [field: string]: unknown };
  data?: Record<string, string>;
  [field: string]: unknown;
}

const NAMESPACE = 'team-a';
const TOKEN = 'token-of-the-service-account';

/** The Secrets of one namespace behind HTTPS, answered as the Kubernetes API answers them. */
export class FakeApi {
  readonly requests: FakeRequest[] = [];
  readonly secrets = new Map<string, Secret>();
  /** decides about each request before it is carried out */
  fault: (request: FakeRequest) => Fault | Promise<Fault> = () => undefined;
  #version = 100;

  private constructor(
    private readonly server: Server,
    readonly access: ApiAccess,
  ) {}

  static async start(): Promise<FakeApi> {
    const to = new Date(Date.now() + 86_400_000);
    const authority = await createAuthority('kubernetes', { to });
    const { certificate, privateKey } = await issueCertificate(authority, { purpose: 'server', name: 'kube-apiserver', hosts: ['127.0.0.1'], to });
    const server = createServer({ cert: certificate, key: privateKey });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const api = new FakeApi(server, { host: '127.0.0.1', port, authority: authority.certificate, token: () => TOKEN, namespace: NAMESPACE });
    server.on('request', (request, response) => void api.#answer(request, response));
    return api;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  /** The values of a Secret as text. */
  values(name: string): Record<string, string> {
    return Object.fromEntries(Object.entries(this.secrets.get(name)?.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
  }

  /** As somebody with kubectl would. */
  put(name: string, values: Readonly<Record<string, string>>, more: Record<string, unknown> = {}): void {
    const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    this.secrets.set(name, { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', ...more, metadata: { name, namespace: NAMESPACE, resourceVersion: String(++this.#version) }, data });
  }

  /** How often each verb was carried out or refused, by Secret. */
  count(verb: FakeRequest['verb'], name?: string): number {
    return this.requests.filter((request) => request.verb === verb && (name === undefined || request.name === name)).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = text === '' ? undefined : (JSON.parse(text) as Secret);
    const named = /^\/api\/v1\/namespaces\/team-a\/secrets(?:\/([a-z\d-]+))?$/.exec(request.url ?? '');
    const verb = named === null ? 'other' : request.method === 'POST' && named[1] === undefined ? 'create' : request.method === 'GET' && named[1] !== undefined ? 'get' : request.method === 'PUT' && named[1] !== undefined ? 'update' : 'other';
    const asked: FakeRequest = { verb, name: named?.[1] ?? body?.metadata.name ?? '', authorization: request.headers.authorization ?? '', body };
    this.requests.push(asked);
    const fault = await this.fault(asked);
    if (fault === 'drop') return void request.socket.destroy();
    if (fault !== undefined && fault !== 'lose') {
      if ('raw' in fault) return void response.end(fault.raw);
      return send(response, fault.status, failure(fault.status, fault.reason, fault.message), fault.headers);
    }
    const [status, answer] = this.#carryOut(asked);
    if (fault === 'lose') return void request.socket.destroy();
    send(response, status, answer);
  }

  #carryOut({ verb, name, authorization, body }: FakeRequest): [number, object] {
    if (authorization !== `Bearer ${TOKEN}`) return [401, failure(401, 'Unauthorized', 'Unauthorized')];
    const present = this.secrets.get(name);
    if (verb === 'get') return present ? [200, present] : [404, failure(404, 'NotFound', `secrets "${name}" not found`)];
    if (verb === 'create') {
      if (present) return [409, failure(409, 'AlreadyExists', `secrets "${name}" already exists`)];
      return [201, this.#store(name, body)];
    }
    if (verb === 'update') {
      if (!present) return [404, failure(404, 'NotFound', `secrets "${name}" not found`)];
      if (body?.metadata.resourceVersion !== present.metadata.resourceVersion) return [409, failure(409, 'Conflict', `Operation cannot be fulfilled on secrets "${name}": the object has been modified`)];
      return [200, this.#store(name, body)];
    }
    return [403, failure(403, 'Forbidden', `secrets is forbidden: User "system:serviceaccount:team-a:dd2-coordinator" cannot list resource "secrets"`)];
  }

  #store(name: string, body: Secret | undefined): Secret {
    const stored: Secret = { apiVersion: 'v1', kind: 'Secret', ...body, metadata: { ...body?.metadata, name, namespace: NAMESPACE, uid: `uid-${name}`, resourceVersion: String(++this.#version) } };
    this.secrets.set(name, stored);
    return stored;
  }
}

function failure(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function send(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
