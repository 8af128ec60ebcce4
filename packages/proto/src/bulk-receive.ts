import { setImmediate } from 'node:timers/promises';
import { Dd2Error } from '@dd2/core';
import type { BulkChunk, BulkHeader } from './bulk-chunk.js';
import type { Cancellable, MessageReadable } from './rpc-types.js';
import { fromStatus } from './status.js';

export interface ReceiveBulkOptions {
  /** streams that announce more are refused before their first byte is used */
  readonly maxBytes: number;
  /** Checks the header, prepares the place for the bytes. What it throws ends the stream. */
  readonly onHeader?: ((header: BulkHeader) => void | Promise<void>) | undefined;
  /**
   * Takes the next bytes; `data` is valid for as long as it is kept, `offset` is its position in the stream. The sender
   * is slowed down while a returned promise is pending.
   */
  readonly onChunk: (data: Uint8Array, offset: number, header: BulkHeader) => void | Promise<void>;
}

export interface ReceivedBulk {
  readonly header: BulkHeader;
  readonly bytes: number;
}

/** On a server the stream knows whether its client has cancelled. */
type BulkSource = MessageReadable<BulkChunk> & Partial<Cancellable> & { readonly cancelled?: boolean };

/**
 * Reads one bulk stream to its end: the first chunk and only it has a header, chunks are contiguous, and their sum is
 * what the header announced.
 * @throws {Dd2Error} PROTOCOL for a stream that breaks these rules or is larger than `maxBytes`; what the call failed
 *   with; CANCELLED when it ended early; what the callbacks throw
 */
export async function receiveBulk(stream: BulkSource, options: ReceiveBulkOptions): Promise<ReceivedBulk> {
  let header: BulkHeader | undefined;
  let expected = 0;
  try {
    for await (const chunk of stream) {
      if (header === undefined) {
        header = openingHeader(chunk, options.maxBytes);
        await options.onHeader?.(header);
      } else if (chunk.header !== undefined || chunk.data.length === 0) {
        throw broken(chunk.header !== undefined ? 'it has a second header' : 'it has an empty chunk');
      }
      if (chunk.offset !== expected) throw broken(`bytes ${expected} were due, bytes ${chunk.offset} came`);
      if (chunk.data.length > header.totalBytes - expected) throw broken(`it has more than the announced ${header.totalBytes} bytes`);
      const { length } = chunk.data; // the callback may transfer the bytes away
      if (length > 0) await options.onChunk(chunk.data, expected, header);
      expected += length;
    }
    if (header === undefined) throw broken('it ended before its header');
    if (expected !== header.totalBytes) {
      if (await wasCancelled(stream)) throw new Dd2Error('CANCELLED', `the bulk stream was cancelled after ${expected} of ${header.totalBytes} bytes`);
      throw broken(`it ended after ${expected} of ${header.totalBytes} bytes`);
    }
    return { header, bytes: expected };
  } catch (error) {
    stream.cancel?.();
    throw fromStatus(error);
  }
}

/**
 * Reads one bulk stream into memory, in a buffer of its own.
 * @throws {Dd2Error} as `receiveBulk`
 */
export async function receiveBytes(stream: BulkSource, options: Omit<ReceiveBulkOptions, 'onChunk'>): Promise<ReceivedBulk & { readonly data: Uint8Array<ArrayBuffer> }> {
  let data = new Uint8Array(0);
  const received = await receiveBulk(stream, {
    maxBytes: options.maxBytes,
    onHeader: async (header) => {
      await options.onHeader?.(header);
      data = new Uint8Array(header.totalBytes);
    },
    onChunk: (bytes, offset) => data.set(bytes, offset),
  });
  return { ...received, data };
}

/** A cancelled call looks like one that its client has ended, until a few turns of the event loop later. */
async function wasCancelled(stream: BulkSource): Promise<boolean> {
  for (let turn = 0; turn < 8 && stream.cancelled === false; turn++) await setImmediate();
  return stream.cancelled === true;
}

function openingHeader(chunk: BulkChunk, maxBytes: number): BulkHeader {
  const { header } = chunk;
  if (header === undefined) throw broken('its first chunk has no header');
  if (header.totalBytes > maxBytes) {
    throw new Dd2Error('PROTOCOL', `the bulk stream "${header.name}" of ${header.totalBytes} bytes is larger than the allowed ${maxBytes}`, { field: 'total_bytes' });
  }
  return header;
}

function broken(why: string): Dd2Error {
  return new Dd2Error('PROTOCOL', `a bulk stream is malformed: ${why}`, { remedy: 'Do both sides run the same version?' });
}
