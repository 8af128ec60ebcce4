import type { DType } from '@dd2/core';

/** What a bulk stream carries; travels in its first chunk. */
export interface BulkHeader {
  /** the run that the bytes belong to; empty for content addressed by its hash */
  readonly runId: string;
  /** the lease that produced a gradient or a result */
  readonly leaseId: string;
  /** the coordinator epoch of that lease */
  readonly epoch: bigint;
  /** the sum of all data of the stream */
  readonly totalBytes: number;
  /** the network of a gradient, `<micro-batch>/<result>`, the source of parameters, the id of a program or an asset */
  readonly name: string;
  /** parameter version */
  readonly version: bigint;
  /** set when the stream is the raw elements of one tensor */
  readonly dtype: DType | undefined;
  readonly shape: readonly number[];
}

/** A header to send: what is left out is empty. */
export type BulkHeaderInit = Partial<BulkHeader> & Pick<BulkHeader, 'totalBytes'>;

/** One received message of a bulk stream. `data` is a view of the message, at any alignment. */
export interface BulkChunk {
  readonly header?: BulkHeader | undefined;
  /** position of `data` in the stream, in bytes */
  readonly offset: number;
  readonly data: Uint8Array;
}

/** One message to send. `data` is a view of the caller's memory. */
export interface BulkChunkInit extends Omit<BulkChunk, 'header'> {
  readonly header?: BulkHeaderInit | undefined;
}

/** Bytes of data in one chunk: 512 KiB to 1 MiB move the most (bench/stream.mjs). */
export const CHUNK_BYTES = 1024 * 1024;
