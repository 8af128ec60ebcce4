import type { CallContext } from '@dd2/proto';

/** The JSON form of an answer, made by its handler: for answers that are large, and made where they hold nobody up. */
export interface PreparedJson {
  /** UTF-8 */
  readonly bytes: Uint8Array;
  /** how the bytes are compressed, when they are */
  readonly encoding?: 'gzip' | undefined;
}

const jsonCalls = new WeakSet<CallContext>();
const prepared = new WeakMap<object, PreparedJson>();

/** Whether the caller wants JSON: then a handler may answer `withJson(...)` alone. Calls over gRPC want the message. */
export function wantsJson(context: CallContext): boolean {
  return jsonCalls.has(context);
}

/** The context of a call that wants JSON. */
export function jsonContext(context: CallContext): CallContext {
  jsonCalls.add(context);
  return context;
}

/**
 * An answer whose JSON form is there already. The JSON is what `toJson` with `alwaysEmitImplicit` would make of the message.
 * @param message what a caller over gRPC gets; it may be empty when `wantsJson` says that there is none
 */
export function withJson<T extends object>(json: PreparedJson, message: T): T {
  prepared.set(message, json);
  return message;
}

export function preparedJsonOf(message: object): PreparedJson | undefined {
  return prepared.get(message);
}
