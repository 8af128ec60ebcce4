import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Dd2Error } from '@dd2/core';
import { joinAddress } from '@dd2/proto';
import type { Health } from './worker-health.js';

export interface HealthAddress {
  /** interface to listen on; all of them unless told, since probes of an orchestrator come from outside of the container */
  readonly host?: string | undefined;
  /** 0 picks a free one */
  readonly port: number;
}

interface HealthSource {
  liveness(): Health;
  readiness(): Health;
}

/** A probe is one small request; whoever asks is not known. Milliseconds, bytes, counts. */
const limits = { maxHeaderSize: 4_096, headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 } as const;
const MAX_CONNECTIONS = 64;
const MAX_HEADERS = 32;
/** an idle connection, and one that does not read its answer */
const SOCKET_TIMEOUT = 10_000;

/** Answers probes over plain HTTP: `GET /healthz` and `GET /readyz`, 200 or 503 with `{ok, reasons}`. It tells nothing else, and asks for no token. */
export class HealthServer {
  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** @throws {Dd2Error} UNAVAILABLE when the port cannot be bound */
  static async start({ host, port }: HealthAddress, source: HealthSource): Promise<HealthServer> {
    const server = createServer(limits, (request, response) => answer(request, response, source));
    server.maxConnections = MAX_CONNECTIONS;
    server.maxHeadersCount = MAX_HEADERS;
    server.setTimeout(SOCKET_TIMEOUT);
    try {
      server.listen(port, host);
      await once(server, 'listening');
    } catch (cause) {
      throw new Dd2Error('UNAVAILABLE', `probes cannot be answered on ${host === undefined ? `port ${port}` : joinAddress(host, port)}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        field: '--health-port',
        remedy: 'Choose another port, or leave it away',
        cause,
      });
    }
    return new HealthServer(server, (server.address() as AddressInfo).port);
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

function answer({ method, url }: IncomingMessage, response: ServerResponse, source: HealthSource): void {
  const look = { '/healthz': () => source.liveness(), '/readyz': () => source.readiness() }[url ?? ''];
  // No connection is kept: those of probes are few, and others are not to be waited for.
  response.setHeader('connection', 'close').setHeader('cache-control', 'no-store').setHeader('x-content-type-options', 'nosniff');
  if (!look) return void response.writeHead(404).end();
  if (method !== 'GET') return void response.writeHead(405, { allow: 'GET' }).end();
  const { ok, reasons } = look();
  response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify({ ok, reasons }));
}
