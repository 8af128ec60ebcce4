import { Dd2Error } from '@dd2/core';
import { CHUNK_BYTES, type BulkChunkInit, type BulkHeaderInit } from './bulk-chunk.js';
import { MessageSink } from './message-sink.js';
import type { Cancellable, MessageWritable } from './rpc-types.js';

export interface SendBulkOptions {
  /** bytes of data in one message */
  readonly chunkBytes?: number | undefined;
}

export interface SentBulk {
  readonly bytes: number;
  /** false when the other side ended the call before it had everything: its answer says why */
  readonly complete: boolean;
}

type BulkSink = MessageWritable<BulkChunkInit> & Partial<Cancellable>;
type Bytes = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Sends `source` as one bulk stream and ends the stream. The pieces of `source` are cut into chunks without a copy, and
 * are only taken as fast as the receiver reads; the memory behind them must not change before the promise settles.
 * When it rejects, a client's call is cancelled; a server's handler passes the error on to end its call.
 * @throws {Dd2Error} what the call failed with; CANCELLED when it was cancelled; INVALID_ARGUMENT when `source` does not
 *   have `header.totalBytes` bytes; what `source` throws
 */
export async function sendBulk(stream: BulkSink, header: BulkHeaderInit, source: Bytes, options: SendBulkOptions = {}): Promise<SentBulk> {
  const chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
  const sink = new MessageSink(stream);
  let offset = 0;
  try {
    let next: BulkHeaderInit | undefined = header;
    for await (const piece of source) {
      if (offset + piece.length > header.totalBytes) throw wrongLength(offset + piece.length, header.totalBytes);
      for (let at = 0; at < piece.length; at += chunkBytes) {
        const data = piece.subarray(at, at + chunkBytes);
        if (!(await sink.write({ header: next, offset, data }))) return { bytes: offset, complete: false };
        next = undefined;
        offset += data.length;
      }
    }
    if (offset !== header.totalBytes) throw wrongLength(offset, header.totalBytes);
    // An empty stream still says what it is.
    const complete = (next === undefined || (await sink.write({ header: next, offset, data: new Uint8Array(0) }))) && (await sink.end());
    return { bytes: offset, complete };
  } catch (error) {
    stream.cancel?.();
    throw error;
  } finally {
    sink.release();
  }
}

function wrongLength(bytes: number, totalBytes: number): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `the header announces ${totalBytes} bytes, the source has ${bytes > totalBytes ? 'more' : `only ${bytes}`}`, { field: 'totalBytes' });
}
