import { Dd2Error } from '@dd2/core';
import { Metadata, RunService, type CallContext, type Handlers } from '@dd2/proto';
import type { DescMethod, Message } from '@dd2/proto/json';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { jsonContext } from './prepared-json.js';
import { requestMessage } from './request-message.js';
import { pathFields, type Route } from './routes.js';

export type RunHandlers = Handlers<typeof RunService>;

/** A call of one of RunService's handlers, which are the same for gRPC and HTTP. */
export interface Call {
  readonly route: Route;
  readonly method: DescMethod;
  readonly message: Message;
  readonly context: CallContext;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** @throws {Dd2Error} INVALID_ARGUMENT naming the field */
export function openCall(route: Route, request: FastifyRequest, reply: FastifyReply): Call {
  const method: DescMethod = RunService.method[route.method];
  const params = request.params as Readonly<Record<string, string>>;
  const inPath = Object.fromEntries(pathFields(route).map((name) => [name, params[name] ?? '']));
  const query = request.query as Readonly<Record<string, unknown>>;
  const [misplaced] = route.verb === 'POST' ? Object.keys(query) : [];
  if (misplaced !== undefined) throw new Dd2Error('INVALID_ARGUMENT', 'the query of a POST request is empty', { field: misplaced, remedy: 'Send the field in the body' });
  const message = route.verb === 'POST' ? requestMessage(method.input, inPath, request.body ?? {}, 'body') : requestMessage(method.input, inPath, query, 'query');
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort(new Dd2Error('CANCELLED', 'the other side has closed the connection')));
  const { remoteAddress = '', remotePort = 0 } = request.socket;
  const context = jsonContext({ metadata: new Metadata(), peer: `${remoteAddress}:${remotePort}`, signal: gone.signal });
  return { route, method, message, context, request, reply };
}

type AnyHandler = (...values: unknown[]) => Promise<unknown>;

/** The answer of a method with one. */
export async function answerOf(handlers: RunHandlers, { route, message, context }: Call): Promise<object> {
  const handler = handlers[route.method] as AnyHandler;
  return (await handler(message, context)) as object;
}

/** Has a streaming method write its messages to `stream`. */
export async function streamTo(handlers: RunHandlers, { route, message, context }: Call, stream: unknown): Promise<void> {
  const handler = handlers[route.method] as AnyHandler;
  await handler(message, stream, context);
}
