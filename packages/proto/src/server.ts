import type { DescMethod, DescService } from '@bufbuild/protobuf';
import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import type { EventEmitter } from 'node:events';
import { Dd2Error } from '@dd2/core';
import { admission, type Admit } from './admission.js';
import { CONNECTION_LIMITS, Connections, type ConnectionLimits } from './connections.js';
import { flowControl, raiseServerWindows, type FlowControl } from './flow-control.js';
import { onHttp2Server } from './http2-server.js';
import { methodDefinition, Oversized } from './method-definition.js';
import type { CallContext, Handlers } from './rpc-types.js';
import { toStatus } from './status.js';
import type { TlsCertificates } from './tls-certificates.js';
import { channelOptions, WINDOW_BYTES, type TransportOptions } from './transport-options.js';

export interface ServerOptions extends TransportOptions {
  /** plain text when absent; with authorities, clients must show a certificate of theirs */
  readonly tls?: TlsCertificates | undefined;
  readonly connections?: Partial<ConnectionLimits> | undefined;
  /** calls that one connection may have open at the same time; a client keeps further ones waiting */
  readonly maxCallsPerConnection?: number | undefined;
}

/** What a service lets in. */
export interface ServicePolicy {
  readonly admit?: Admit | undefined;
  /** of methods with a single request; larger ones are refused without being decoded */
  readonly maxRequestBytes?: number | undefined;
}

const MAX_CALLS_PER_CONNECTION = 256;

export interface RpcServer {
  /** Before `listen`. */
  add<S extends DescService>(service: S, handlers: Handlers<S>, policy?: ServicePolicy): void;
  /** Binds `host:port` (port 0 picks one) and answers the port. @throws {Dd2Error} UNAVAILABLE */
  listen(address: string): Promise<number>;
  /** Flow control in effect, one entry per open connection. */
  flowControl(): FlowControl[];
  /** Takes no more calls, waits for those that run for at most `graceMs`, then cancels them. */
  close(graceMs?: number): Promise<void>;
}

/** A gRPC server for services of this package. */
export function createServer(options: ServerOptions = {}): RpcServer {
  const connections = new Connections({ ...CONNECTION_LIMITS, ...options.connections });
  const admits = new Map<string, Admit | undefined>();
  const server = new Server({
    ...channelOptions(options),
    'grpc.max_concurrent_streams': options.maxCallsPerConnection ?? MAX_CALLS_PER_CONNECTION,
    ...options.channelOptions,
    interceptors: [admission(admits, connections)],
  });
  onHttp2Server(server, (http2Server) => {
    raiseServerWindows(http2Server, options.windowBytes ?? WINDOW_BYTES);
    connections.watch(http2Server);
  });
  return {
    add(service, handlers, { admit, maxRequestBytes } = {}) {
      const byName: Readonly<Record<string, AnyHandler>> = handlers;
      const definitions = service.methods.map((method) => [method.localName, methodDefinition(method, maxRequestBytes)] as const);
      const calls = service.methods.map((method) => {
        const handler = byName[method.localName];
        if (handler === undefined) throw new TypeError(`${service.typeName} has no handler for ${method.localName}`);
        return [method.localName, serve(method, handler)] as const;
      });
      admits.set(service.typeName, admit);
      server.addService(Object.fromEntries(definitions), Object.fromEntries(calls));
    },
    listen(address) {
      return new Promise((resolve, reject) => {
        server.bindAsync(address, options.tls?.serverCredentials() ?? ServerCredentials.createInsecure(), (error, port) => {
          if (error === null) resolve(port);
          else reject(new Dd2Error('UNAVAILABLE', `cannot listen on ${address}: ${error.message}`, { remedy: 'Is the port in use?', cause: error }));
        });
      });
    },
    flowControl: () => [...connections.sessions].map(flowControl),
    close(graceMs = 0) {
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          server.forceShutdown();
          // grpc-js does not keep track of its sessions when channelz is off.
          connections.destroy();
        }, graceMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

type ServerCall = Pick<ServerUnaryCall<unknown, unknown>, 'metadata' | 'getPeer'> & EventEmitter;

type AnyHandler = (...values: never[]) => Promise<unknown>;

/** The grpc-js handler of one method: promises become status, both ways. */
function serve(method: DescMethod, handler: AnyHandler): UntypedHandleCall {
  const run = handler as (...values: unknown[]) => Promise<unknown>;
  const answer = (result: Promise<unknown>, callback: sendUnaryData<unknown>): void => {
    result.then(
      (response) => callback(null, response),
      (error: unknown) => callback(toStatus(error)),
    );
  };
  const finish = (result: Promise<unknown>, call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>): void => {
    result.then(
      () => call.end(),
      (error: unknown) => call.emit('error', toStatus(error)),
    );
  };
  switch (method.methodKind) {
    case 'unary':
      return (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => answer(invoke(run, call.request, contextOf(call)), callback);
    case 'client_streaming':
      return (call: ServerReadableStream<unknown, unknown>, callback: sendUnaryData<unknown>) => answer(invoke(run, call, contextOf(call)), callback);
    case 'server_streaming':
      return (call: ServerWritableStream<unknown, unknown>) => finish(invoke(run, call.request, call, contextOf(call)), call);
    case 'bidi_streaming':
      return (call: ServerDuplexStream<unknown, unknown>) => finish(invoke(run, readableApart(call), contextOf(call)), call);
  }
}

/** A handler that throws before it returns its promise is treated like one whose promise rejects. */
async function invoke(run: (...values: unknown[]) => Promise<unknown>, ...values: unknown[]): Promise<unknown> {
  const [request] = values;
  if (request instanceof Oversized) {
    throw new Dd2Error('INVALID_ARGUMENT', `a request of ${request.bytes} bytes is too large`, { remedy: `At most ${request.maxBytes} bytes are taken` });
  }
  return run(...values);
}

/** A handler that leaves its `for await` over the requests must not destroy the stream: the status is still to be sent. */
function readableApart(call: ServerDuplexStream<unknown, unknown>): ServerDuplexStream<unknown, unknown> {
  return Object.assign(call, { [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) });
}

function contextOf(call: ServerCall): CallContext {
  const controller = new AbortController();
  call.once('cancelled', () => controller.abort(new Dd2Error('CANCELLED', 'the call was cancelled by the other side')));
  return { metadata: call.metadata, peer: call.getPeer(), signal: controller.signal };
}
