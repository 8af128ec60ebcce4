import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { ChannelCredentials, Client, Metadata, type CallOptions as GrpcCallOptions, type MethodDefinition, type requestCallback } from '@grpc/grpc-js';
import { Dd2Error } from '@dd2/core';
import { connectionFailure } from './connection-failure.js';
import { hostOf } from './loopback.js';
import { methodDefinition } from './method-definition.js';
import type { Cancellable, CallOptions, ServiceClient } from './rpc-types.js';
import { fromStatus } from './status.js';
import { serverNameFor, type TlsCertificates } from './tls-certificates.js';
import { tokenMetadata } from './token.js';
import { channelOptions, WINDOW_BYTES, type TransportOptions } from './transport-options.js';

export interface ClientOptions extends TransportOptions {
  /** plain text when absent */
  readonly tls?: TlsCertificates | undefined;
  /** shown with every call; a function is asked until it knows one */
  readonly token?: string | (() => string | undefined) | undefined;
  /** request metadata of every call */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

const REASON_MS = 200;

/**
 * A client of one service at `host:port`. It has a connection of its own, so that a second client's bulk streams do not
 * delay a first one's small messages. It connects with its first call, and again whenever the connection is lost.
 */
export function createClient<S extends DescService>(service: S, address: string, options: ClientOptions = {}): ServiceClient<S> {
  const client = new Client(address, options.tls?.channelCredentials(hostOf(address)) ?? ChannelCredentials.createInsecure(), {
    ...channelOptions(options),
    'grpc-node.flow_control_window': options.windowBytes ?? WINDOW_BYTES,
    'grpc.use_local_subchannel_pool': 1,
    // Coordinator and workers reach each other directly: an http_proxy of the environment is meant for other traffic.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    // Whoever calls decides about trying again: every message is idempotent or fenced. Without retries nothing is kept
    // for sending it again, and a write is done when it was written: back-pressure counts every byte.
    'grpc.enable_retries': 0,
    'grpc.per_rpc_retry_buffer_size': 0,
    ...(options.tls ? serverNameFor(hostOf(address)) : {}),
    ...options.channelOptions,
  });
  let token: string | undefined;
  const common = (): Readonly<Record<string, string>> => {
    token ??= typeof options.token === 'function' ? options.token() : options.token;
    return { ...(token === undefined ? {} : tokenMetadata(token)), ...options.metadata };
  };
  const methods = service.methods.map((method) => [method.localName, call(client, method, common)] as const);
  return {
    ...Object.fromEntries(methods),
    ready: (timeoutMs: number) =>
      new Promise<void>((resolve, reject) => {
        client.waitForReady(Date.now() + timeoutMs, (error) => {
          if (error === undefined) return resolve();
          whyNotConnected(client, (reason) => {
            reject(reason ?? new Dd2Error('UNAVAILABLE', `no connection to ${address} within ${timeoutMs} ms`, { remedy: 'Is the coordinator running there?', cause: error }));
          });
        });
      }),
    close: () => client.close(),
  } as ServiceClient<S>;
}

/** grpc-js tells why the last attempt to connect failed only to a call that fails for it. */
function whyNotConnected(client: Client, tell: (reason: Dd2Error | undefined) => void): void {
  const nothing = (): Buffer => Buffer.of();
  client.makeUnaryRequest('/dd2/none', nothing, nothing, undefined, { deadline: Date.now() + REASON_MS }, (error) => tell(error ? connectionFailure(error.details, error) : undefined));
}

type AnyMethod = (...values: never[]) => unknown;

function call(client: Client, method: DescMethod, common: () => Readonly<Record<string, string>>): AnyMethod {
  const definition = methodDefinition(method);
  const { path, requestSerialize: encode, responseDeserialize: decode }: MethodDefinition<unknown, unknown> = definition;
  const setup = (options: CallOptions): [Metadata, GrpcCallOptions] => {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries({ ...common(), ...options.metadata })) metadata.set(key, value);
    return [metadata, options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs }];
  };
  switch (method.methodKind) {
    case 'unary':
      return (request: unknown, options: CallOptions = {}) =>
        new Promise((resolve, reject) => {
          const open = client.makeUnaryRequest(path, encode, decode, request, ...setup(options), settle(resolve, reject));
          cancelOn(options.signal, open);
        });
    case 'client_streaming':
      return (options: CallOptions = {}) => {
        let answered: requestCallback<unknown> = () => undefined;
        const response = new Promise((resolve, reject) => {
          answered = settle(resolve, reject);
        });
        // The sender may learn of a failure from the stream first and never look at the response.
        response.catch(() => undefined);
        const stream = client.makeClientStreamRequest(path, encode, decode, ...setup(options), answered);
        return { stream: cancelOn(options.signal, stream), response };
      };
    case 'server_streaming':
      return (request: unknown, options: CallOptions = {}) =>
        readable(cancelOn(options.signal, client.makeServerStreamRequest(path, encode, decode, request, ...setup(options))));
    case 'bidi_streaming':
      return (options: CallOptions = {}) => readable(cancelOn(options.signal, client.makeBidiStreamRequest(path, encode, decode, ...setup(options))));
  }
}

function settle(resolve: (value: unknown) => void, reject: (error: Dd2Error) => void): requestCallback<unknown> {
  return (error, value) => {
    if (error === null) resolve(value);
    else reject(fromStatus(error));
  };
}

interface OpenCall extends Cancellable {
  once(event: 'status' | 'close', listener: () => void): unknown;
}

/** Amends what grpc-js leaves open in calls that stream responses. */
function readable<T extends OpenCall & { read(size: number): unknown }>(open: T): T {
  // Whoever leaves a `for await` over the responses destroys the stream: that ends the call.
  open.once('close', () => open.cancel());
  // Until the first read, grpc-js takes all that comes into memory; from then on it waits for its reader.
  open.read(0);
  return open;
}

function cancelOn<T extends OpenCall>(signal: AbortSignal | undefined, open: T): T {
  if (signal === undefined) return open;
  const cancel = (): void => open.cancel();
  if (signal.aborted) {
    cancel();
    return open;
  }
  signal.addEventListener('abort', cancel, { once: true });
  open.once('status', () => signal.removeEventListener('abort', cancel));
  return open;
}
