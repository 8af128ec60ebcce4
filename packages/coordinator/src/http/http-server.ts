import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import type { Server } from 'node:http';
import fastifyCookie from '@fastify/cookie';
import { Dd2Error } from '@dd2/core';
import { joinAddress, type TlsCertificates, type WatchRunRequest } from '@dd2/proto';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, type RawServerDefault } from 'fastify';
import type { Logger } from 'pino';
import { RateLimit } from '../rate-limit.js';
import type { Prometheus } from '../observe/prometheus.js';
import type { RunChanges } from '../run-changes.js';
import type { RunManager } from '../run-manager.js';
import { answerDownload, answerEvents, answerImage, answerJson, answerSharedJson, openStream } from './answers.js';
import { openCall, type Call, type RunHandlers } from './call.js';
import { EventStreams } from './event-streams.js';
import type { Health } from './health.js';
import type { HttpAccess } from './http-access.js';
import { httpError } from './http-error.js';
import { sendJson } from './json-answer.js';
import { openApiDocument } from './openapi.js';
import { servePage } from './page.js';
import { API, routes, type Route } from './routes.js';
import { RecentAnswers } from './recent-answers.js';
import { RunFeeds } from './run-feeds.js';
import { RunsFeed } from './runs-feed.js';
import { createHttpServer, type OpenServer } from './secure-server.js';
import { securityHeaders } from './security-headers.js';
import { serveSession } from './session-routes.js';

export interface HttpLimits {
  /** requests for each address that they come from */
  readonly perSecond: number;
  /** requests of one address at once, after a pause */
  readonly burst: number;
  /** streams of events that are open at the same time */
  readonly maxStreams: number;
  readonly maxBodyBytes: number;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 picks a free one */
  readonly port: number;
  /** take any free port when this one is in use */
  readonly orAnyPort?: boolean | undefined;
  /** plain text without */
  readonly tls?: TlsCertificates | undefined;
  readonly access: HttpAccess;
  readonly handlers: RunHandlers;
  readonly runs: RunManager;
  readonly changes: RunChanges;
  /** what Prometheus reads; there is no /metrics without */
  readonly metrics?: Pick<Prometheus, 'metricsText' | 'contentType'> | undefined;
  readonly liveness: () => Health;
  readonly readiness: () => Health;
  /** folder with the built page */
  readonly pageFolder?: string | undefined;
  readonly version: string;
  readonly logger: Logger;
  readonly limits?: Partial<HttpLimits> | undefined;
}

const LIMITS: HttpLimits = { perSecond: 200, burst: 1_000, maxStreams: 512, maxBodyBytes: 1024 * 1024 };
const MAX_PARAMETER_LENGTH = 256;
const LIVE = '/healthz';
const READY = '/readyz';
const probes: ReadonlySet<string> = new Set([LIVE, READY]);
/** the last answers may arrive before connections are closed */
const CLOSE_MS = 200;

/** The coordinator's HTTP server: RunService as JSON, events, the page, probes and metrics. */
export class HttpServer {
  private constructor(
    /** `http://host:port`, or https */
    readonly url: string,
    private readonly parts: OpenServer & { readonly app: FastifyInstance; readonly streams: EventStreams },
  ) {}

  /** @throws {Dd2Error} UNAVAILABLE when the port cannot be bound */
  static async start(options: HttpServerOptions): Promise<HttpServer> {
    const { host, tls } = options;
    const limits = { ...LIMITS, ...options.limits };
    const streams = new EventStreams(limits.maxStreams);
    const { app, opened } = createApp(options, limits, streams);
    const parts = { app, streams, ...opened };
    try {
      await app.ready();
      const port = await listen(opened.server, options);
      return new HttpServer(`${tls ? 'https' : 'http'}://${joinAddress(host, port)}`, parts);
    } catch (error) {
      await close(parts);
      throw error;
    }
  }

  /** Ends the streams of events, and opens no more; everything else is answered until the server is closed. */
  endStreams(): void {
    this.parts.streams.close();
  }

  /** Ends the streams of events and closes all connections. */
  close(): Promise<void> {
    return close(this.parts);
  }
}

async function close({ app, server, streams, release, disconnect }: HttpServer['parts']): Promise<void> {
  release();
  streams.close();
  const timer = setTimeout(disconnect, CLOSE_MS);
  const closed = server.listening ? once(server, 'close') : undefined;
  server.close();
  server.closeIdleConnections();
  await closed;
  clearTimeout(timer);
  await app.close();
}

async function listen(server: Server, { host, port, orAnyPort = false }: HttpServerOptions): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    const inUse = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    if (inUse && orAnyPort) return listen(server, { host, port: 0 } as HttpServerOptions);
    throw new Dd2Error('UNAVAILABLE', `cannot listen on ${joinAddress(host, port)}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      field: '--http-port',
      remedy: inUse ? 'Choose another port, 0 for any, or have none with --no-http' : 'Choose another port or host',
      cause,
    });
  }
  return (server.address() as AddressInfo).port;
}

function createApp(options: HttpServerOptions, limits: HttpLimits, streams: EventStreams): { readonly app: FastifyInstance; readonly opened: OpenServer } {
  const { access, tls, logger } = options;
  let made: OpenServer | undefined;
  const app: FastifyInstance = Fastify<RawServerDefault>({
    serverFactory: (listener) => (made = createHttpServer(tls, listener)).server,
    bodyLimit: limits.maxBodyBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    frameworkErrors: (error, _request, reply) => void answerError(reply.headers(headers), error, logger),
    clientErrorHandler: (error, socket) => refuseConnection(error, socket, headers),
  });
  const headers = securityHeaders(tls !== undefined);
  const rate = new RateLimit(limits);
  app.removeAllContentTypeParsers();
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parseJson(request, String(body), done);
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headers);
    // A probe that is refused would end a process that works, because of somebody else behind the same address.
    if (probes.has(request.routeOptions.url ?? '')) return;
    const retryAfterMs = rate.take(request.ip);
    if (retryAfterMs > 0) throw new Dd2Error('RESOURCE_EXHAUSTED', `more than ${limits.perSecond} requests a second came from here`, { remedy: `Try again in ${retryAfterMs} ms`, details: { retryAfterMs } });
  });
  app.setErrorHandler<FastifyError | Dd2Error>((error, _request, reply) => answerError(reply, error, logger));
  app.register(fastifyCookie);
  app.register(async (scope) => {
    serveSession(scope, access, tls !== undefined);
    serveRoutes(scope, options, streams);
    serveProbes(scope, options);
  });
  app.register(async (scope) => servePage(scope, options.pageFolder));
  return { app, opened: { server: app.server, release: () => made?.release(), disconnect: () => made?.disconnect() } };
}

function serveRoutes(app: FastifyInstance, { access, handlers, runs, changes, version }: HttpServerOptions, streams: EventStreams): void {
  const onRequest = async (request: FastifyRequest): Promise<void> => access.admit(request);
  const runFeeds = new RunFeeds(runs);
  const runsFeed = new RunsFeed(runs, changes);
  const recent = new RecentAnswers();
  /** Watching costs little however many watch: these streams are not made for each viewer by the handler. */
  const shared: Partial<Record<Route['method'], (call: Call) => void>> = {
    watchRun: (call) => {
      streams.requirePlace();
      const { runId, since } = call.message as WatchRunRequest;
      const feed = runFeeds.of(runId);
      const stream = openStream(call, streams);
      const leave = feed.add(stream, Math.max(Number(since), lastEventId(call.request)));
      call.context.signal.addEventListener('abort', leave);
    },
    watchRuns: (call) => {
      const leave = runsFeed.add(openStream(call, streams));
      call.context.signal.addEventListener('abort', leave);
    },
  };
  const answers = {
    json: (call: Call) => (call.route.shareMs === undefined ? answerJson(handlers, call) : answerSharedJson(handlers, call, call.route.shareMs, { recent, runs })),
    image: (call: Call) => answerImage(handlers, call),
    download: (call: Call) => answerDownload(handlers, call),
    events: (call: Call) => answerEvents(handlers, call, streams),
  };
  for (const route of routes) {
    const watch = shared[route.method];
    app.route({
      method: route.verb,
      url: `${API}${route.path.replace(/\{(\w+)\}/g, ':$1')}`,
      onRequest,
      handler: async (request, reply) => {
        const call = openCall(route, request, reply);
        if (!watch) return answers[route.answer](call);
        watch(call);
        return reply;
      },
    });
  }
  const document = JSON.stringify(openApiDocument(version));
  app.get(`${API}/openapi.json`, { onRequest }, (request, reply) => sendJson(request, reply, document));
}

function serveProbes(app: FastifyInstance, { access, liveness, readiness, metrics }: HttpServerOptions): void {
  const tell = (reply: FastifyReply, { ok, reasons }: Health): FastifyReply => reply.code(ok ? 200 : 503).header('cache-control', 'no-store').send({ ok, reasons });
  app.get(LIVE, (_request, reply) => tell(reply, liveness()));
  app.get(READY, (_request, reply) => tell(reply, readiness()));
  if (!metrics) return;
  app.get('/metrics', { onRequest: async (request) => access.admitToMetrics(request) }, async (_request, reply) =>
    reply.headers({ 'content-type': metrics.contentType, 'cache-control': 'no-store' }).send(await metrics.metricsText()),
  );
}

/** The event that a browser has seen last, when it comes back by itself. */
function lastEventId({ headers }: FastifyRequest): number {
  const id = headers['last-event-id'];
  return typeof id === 'string' && /^\d{1,15}$/.test(id) ? Number(id) : 0;
}

function answerError(reply: FastifyReply, thrown: unknown, logger: Logger): FastifyReply {
  const { status, headers, body, error } = httpError(thrown);
  if (status >= 500 && error.code === 'INTERNAL') logger.error({ err: error }, 'a request failed');
  return reply.code(status).headers({ ...headers, 'cache-control': 'no-store' }).send(body);
}

/** What is not even HTTP gets an answer that can be read, and its connection is closed. */
function refuseConnection(error: Error & { readonly code?: string }, socket: Socket, headers: Readonly<Record<string, string>>): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason, problem] = connectionErrors[error.code ?? ''] ?? ['400', 'Bad Request', 'this is not HTTP'];
  const body = JSON.stringify(httpError(new Dd2Error('INVALID_ARGUMENT', problem)).body);
  const lines = Object.entries({ ...headers, 'content-type': 'application/json; charset=utf-8', 'content-length': String(Buffer.byteLength(body)), connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n${body}`);
}

const connectionErrors: Readonly<Record<string, readonly [status: string, reason: string, problem: string]>> = {
  HPE_HEADER_OVERFLOW: ['431', 'Request Header Fields Too Large', 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408', 'Request Timeout', 'the request did not arrive in time'],
};
