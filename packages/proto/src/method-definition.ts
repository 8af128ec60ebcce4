import { create, fromBinary, toBinary, type DescMessage, type DescMethod, type MessageInitShape } from '@bufbuild/protobuf';
import type { MethodDefinition } from '@grpc/grpc-js';
import type { BulkChunkInit } from './bulk-chunk.js';
import { decodeBulkChunk } from './bulk-codec.js';
import { bulkFrame } from './bulk-frame.js';
import { BulkChunkSchema } from './gen/dd2/v1/bulk_pb.js';

/**
 * What grpc-js needs to know of a method. Message types are `unknown` here, because grpc-js treats all methods alike;
 * `Handlers` and `ServiceClient` give them back to the callers.
 * @param maxRequestBytes a larger single request is not decoded: an `Oversized` stands in for it
 */
export function methodDefinition(method: DescMethod, maxRequestBytes = Infinity): MethodDefinition<unknown, unknown> {
  const decode = decoder(method.input);
  const kind = method.methodKind;
  const requestStream = kind === 'client_streaming' || kind === 'bidi_streaming';
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream,
    responseStream: kind === 'server_streaming' || kind === 'bidi_streaming',
    requestSerialize: encoder(method.input),
    requestDeserialize: (bytes) => (!requestStream && bytes.byteLength > maxRequestBytes ? new Oversized(bytes.byteLength, maxRequestBytes) : decode(bytes)),
    responseSerialize: encoder(method.output),
    responseDeserialize: decoder(method.output),
    originalName: method.localName,
  };
}

/** A request that is too large. grpc-js would hide the reason if decoding it threw. */
export class Oversized {
  constructor(
    readonly bytes: number,
    readonly maxBytes: number,
  ) {}
}

function encoder(desc: DescMessage): (message: unknown) => Buffer {
  if (desc.typeName === BulkChunkSchema.typeName) return (message) => bulkFrame(message as BulkChunkInit);
  return (message) => {
    const bytes = toBinary(desc, create(desc, message as MessageInitShape<DescMessage>));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function decoder(desc: DescMessage): (bytes: Buffer) => unknown {
  if (desc.typeName === BulkChunkSchema.typeName) return decodeBulkChunk;
  // Fields of type bytes become views: plain arrays, not Buffers, whose `slice` would not copy.
  return (bytes) => fromBinary(desc, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), { readUnknownFields: false });
}
