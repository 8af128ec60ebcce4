import { Dd2Error } from '@dd2/core';
import { CHUNK_BYTES, type BulkChunkInit, type BulkHeaderInit } from './bulk-chunk.js';
import type { Cancellable, MessageWritable } from './rpc-types.js';
import { fromStatus } from './status.js';

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
  const sink = new Sink(stream);
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

/** Writes with back-pressure, and notices that the call is over while it waits: a dead call never drains. */
class Sink {
  readonly #stream: MessageWritable<BulkChunkInit>;
  #over = false;
  #failure: Dd2Error | undefined;
  #wake: () => void = () => undefined;
  #pending = 0;

  constructor(stream: MessageWritable<BulkChunkInit>) {
    this.#stream = stream;
    // A client's call ends with 'status'; a server's with 'close' (cancelled by the client, or the connection is lost).
    stream.once('status', this.#onStatus);
    stream.once('close', this.#onClose);
    stream.on('error', this.#onError);
    stream.on('drain', this.#onDrain);
    if (stream.destroyed) this.#onClose();
  }

  /** Resolves when more may be written; false when the call has ended well, so that nobody reads any more. */
  async write(chunk: BulkChunkInit): Promise<boolean> {
    // Its 'close' event may wait for the very loop that writes here.
    if (this.#stream.destroyed) this.#onClose();
    if (!this.#over) {
      this.#pending++;
      const more = this.#stream.write(chunk, this.#written);
      if (!more) await this.#until(() => !this.#stream.writableNeedDrain);
    }
    return this.#proceed();
  }

  /** Ends the stream and resolves when everything was handed to the connection. */
  async end(): Promise<boolean> {
    if (!this.#over) {
      this.#stream.end();
      await this.#until(() => this.#pending === 0);
    }
    // An answer that comes after the last byte was taken is no interruption.
    if (this.#pending === 0 && this.#failure === undefined) return true;
    return this.#proceed();
  }

  release(): void {
    this.#stream.off('status', this.#onStatus);
    this.#stream.off('close', this.#onClose);
    this.#stream.off('error', this.#onError);
    this.#stream.off('drain', this.#onDrain);
  }

  #proceed(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    return !this.#over;
  }

  async #until(reached: () => boolean): Promise<void> {
    while (!this.#over && !reached()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #finish(failure?: Dd2Error): void {
    this.#over = true;
    this.#failure ??= failure;
    this.#wake();
  }

  readonly #written = (): void => {
    this.#pending--;
    this.#wake();
  };
  readonly #onDrain = (): void => this.#wake();
  readonly #onStatus = (status: { readonly code: number }): void => this.#finish(status.code === 0 ? undefined : fromStatus(status));
  readonly #onError = (error: unknown): void => this.#finish(fromStatus(error));
  readonly #onClose = (): void => {
    if (!this.#over && (this.#pending > 0 || !this.#stream.writableEnded)) this.#finish(new Dd2Error('CANCELLED', 'the bulk stream was closed by the other side'));
  };
}

function wrongLength(bytes: number, totalBytes: number): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `the header announces ${totalBytes} bytes, the source has ${bytes > totalBytes ? 'more' : `only ${bytes}`}`, { field: 'totalBytes' });
}
