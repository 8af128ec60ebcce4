import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Metadata } from '@grpc/grpc-js';
import type { EventEmitter } from 'node:events';
import type { BulkChunk, BulkChunkInit } from './bulk-chunk.js';

/** The types of calls that follow from a service's descriptor. Bulk streams carry `BulkChunk` instead of a message object. */

type IsBulk<D extends DescMessage> = MessageShape<D>['$typeName'] extends 'dd2.v1.BulkChunk' ? true : false;

/** What may be sent as a message: the message, or a plain object with the fields that are set. */
export type Sent<D extends DescMessage> = IsBulk<D> extends true ? BulkChunkInit : MessageInitShape<D>;
/** What arrives as a message. */
export type Received<D extends DescMessage> = IsBulk<D> extends true ? BulkChunk : MessageShape<D>;

/** A Node readable stream of received messages; `for await` reads it with back-pressure. */
export interface MessageReadable<T> extends EventEmitter, AsyncIterable<T> {
  readonly destroyed: boolean;
  destroy(error?: Error): this;
}

/** A Node writable stream of messages. `write` answers false when the other side does not keep up: wait for 'drain'. */
export interface MessageWritable<T> extends EventEmitter {
  readonly destroyed: boolean;
  readonly writableEnded: boolean;
  readonly writableNeedDrain: boolean;
  write(message: T, callback?: (error: Error | null | undefined) => void): boolean;
  end(): void;
}

export interface MessageDuplex<In, Out> extends MessageReadable<In>, MessageWritable<Out> {
  readonly destroyed: boolean;
}

/** Ends a call from the client's side, at once. */
export interface Cancellable {
  cancel(): void;
}

/** What a handler knows about its call. */
export interface CallContext {
  /** request metadata (tokens, tracing) */
  readonly metadata: Metadata;
  /** address of the other side */
  readonly peer: string;
  /** aborted when the call is cancelled, its deadline passes or its connection is lost (and after it has ended) */
  readonly signal: AbortSignal;
}

type Handler<M extends DescMethod> = M['methodKind'] extends 'unary'
  ? (request: Received<M['input']>, context: CallContext) => Promise<Sent<M['output']>>
  : M['methodKind'] extends 'server_streaming'
    ? (request: Received<M['input']>, stream: MessageWritable<Sent<M['output']>>, context: CallContext) => Promise<void>
    : M['methodKind'] extends 'client_streaming'
      ? (stream: MessageReadable<Received<M['input']>>, context: CallContext) => Promise<Sent<M['output']>>
      : (stream: MessageDuplex<Received<M['input']>, Sent<M['output']>>, context: CallContext) => Promise<void>;

/**
 * The implementation of a service. What a handler throws becomes the status of the call; a streaming call ends when its
 * handler's promise resolves. A stream of requests also ends when its client is gone: `CallContext.signal` tells.
 */
export type Handlers<S extends DescService> = { readonly [K in keyof S['method']]: Handler<S['method'][K]> };

export interface CallOptions {
  /** cancels the call */
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** request metadata in addition to the client's */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** An open client-streaming call. */
export interface Upload<Request, Response> {
  readonly stream: MessageWritable<Request> & Cancellable;
  /** the answer; may come before everything was sent. Rejects with a `Dd2Error`. */
  readonly response: Promise<Response>;
}

type Method<M extends DescMethod> = M['methodKind'] extends 'unary'
  ? (request: Sent<M['input']>, options?: CallOptions) => Promise<Received<M['output']>>
  : M['methodKind'] extends 'server_streaming'
    ? (request: Sent<M['input']>, options?: CallOptions) => MessageReadable<Received<M['output']>> & Cancellable
    : M['methodKind'] extends 'client_streaming'
      ? (options?: CallOptions) => Upload<Sent<M['input']>, Received<M['output']>>
      : (options?: CallOptions) => MessageDuplex<Received<M['output']>, Sent<M['input']>> & Cancellable;

/** Calls of a service. Promises reject with a `Dd2Error`; streams emit 'error' with what `fromStatus` understands. */
export type ServiceClient<S extends DescService> = { readonly [K in keyof S['method']]: Method<S['method'][K]> } & {
  /** resolves when connected; rejects with UNAVAILABLE */
  ready(timeoutMs: number): Promise<void>;
  close(): void;
};
