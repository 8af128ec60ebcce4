import { Worker } from 'node:worker_threads';
import { Dd2Error, type ErrorCode } from '@dd2/core';
import { SHARD_FLOATS, shardCount, shardLength, type OptimizerStep } from './aggregator.js';
import type { Span } from './reduction-tree.js';
import type { StateCopy } from './state-copy.js';

interface ShardData {
  readonly shard: number;
  readonly data: ArrayBuffer;
}

type Command =
  | { readonly op: 'load'; readonly vector: string; readonly shards: readonly ShardData[] }
  | { readonly op: 'copy'; readonly from: string; readonly to: string }
  | { readonly op: 'zero'; readonly vector: string; readonly like: string }
  | { readonly op: 'open'; readonly update: number; readonly network: string; readonly microBatches: number }
  | { readonly op: 'optimize'; readonly step: OptimizerStep }
  | { readonly op: 'contribute'; readonly update: number; readonly span: Span; readonly shard: number; readonly data: ArrayBuffer }
  | { readonly op: 'contributeFile'; readonly update: number; readonly span: Span; readonly path: string; readonly size: number }
  | { readonly op: 'snapshot'; readonly parts: Readonly<Record<string, SharedArrayBuffer>>; readonly first: number }
  | { readonly op: 'write'; readonly vector: string; readonly path: string };

export type AggregatorMessage = Command & { readonly id: number };

export type AggregatorReply =
  | { readonly event: 'done'; readonly id: number; readonly finite?: boolean }
  | { readonly event: 'failed'; readonly id: number; readonly code: ErrorCode; readonly message: string }
  | { readonly event: 'reduced'; readonly update: number; readonly shard: number; readonly sumOfSquares: number };

/** An update's reduction while contributions arrive. Shards with elements that are not finite are never added. */
export interface Reduction {
  /** Adds one shard of the gradient of micro-batches [from, to); the bytes are copied. Resolves with whether it is finite. */
  contribute(span: Span, shard: number, bytes: Uint8Array): Promise<boolean>;
  /**
   * Adds the whole gradient of micro-batches [from, to) from a file of raw float32 values. Resolves with whether it is finite.
   * Rejects with PROTOCOL when it is no gradient, with UNAVAILABLE when the file cannot be read.
   */
  contributeFile(span: Span, path: string): Promise<boolean>;
  /** A gradient is in truth not finite: neither is the sum, and nothing more need come. */
  contributeNonFinite(): void;
  /** Resolves with the sum of squares of the summed gradient once every shard has every micro-batch; NaN when it is not finite. */
  readonly complete: Promise<number>;
}

/** The shards of a run's vectors, spread in contiguous ranges over aggregator threads. */
export class Aggregators {
  readonly #threads: Worker[];
  readonly #waiting = new Map<number, { resolve: (finite: boolean) => void; reject: (error: Error) => void }>();
  #nextId = 1;
  #reduction: { readonly update: number; readonly sums: (number | undefined)[]; missing: number; resolve: (sum: number) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  /** @param size float32 elements of the largest vector */
  constructor(
    readonly size: number,
    threads = Math.min(4, Math.ceil(shardCount(size) / 64)),
  ) {
    this.#threads = Array.from({ length: threads }, () => {
      // From src, where tests run, this is the compiled thread as well.
      const thread = new Worker(new URL('../dist/aggregator-thread.js', import.meta.url), { name: 'dd2-aggregator' });
      thread.on('message', (reply: AggregatorReply) => this.#receive(reply));
      thread.on('error', (error) => this.#fail(error));
      thread.on('exit', () => this.#fail(new Dd2Error('INTERNAL', 'an aggregator thread ended')));
      return thread;
    });
  }

  async load(vector: string, flat: Float32Array): Promise<void> {
    const shards = Array.from({ length: shardCount(flat.length) }, (_, shard): ShardData => ({
      shard,
      data: flat.slice(shard * SHARD_FLOATS, shard * SHARD_FLOATS + shardLength(flat.length, shard)).buffer,
    }));
    await Promise.all(
      this.#threads.map((_, thread) => {
        const own = shards.filter(({ shard }) => this.#threadOf(shard) === thread);
        return this.#send(thread, { op: 'load', vector, shards: own }, own.map(({ data }) => data));
      }),
    );
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#broadcast({ op: 'copy', from, to });
  }

  async zero(vector: string, like: string): Promise<void> {
    await this.#broadcast({ op: 'zero', vector, like });
  }

  /** Opens the reduction of an update over `size` parameters; the one before is closed. What follows is carried out after it. */
  open(update: number, network: string, size: number, microBatches: number): Reduction {
    this.#broadcast({ op: 'open', update, network, microBatches }).catch((error: Error) => this.#fail(error));
    const shards = shardCount(size);
    const complete = new Promise<number>((resolve, reject) => {
      this.#reduction = { update, sums: new Array<number | undefined>(shards).fill(undefined), missing: shards, resolve, reject };
    });
    complete.catch(() => undefined); // whoever awaits it hears of it; nobody may be waiting yet
    return {
      complete,
      contribute: async (span, shard, bytes) => {
        const data = new ArrayBuffer(bytes.byteLength);
        new Uint8Array(data).set(bytes);
        return this.#send(this.#threadOf(shard), { op: 'contribute', update, span, shard, data }, [data]);
      },
      contributeFile: (span, path) => this.#broadcast({ op: 'contributeFile', update, span, path, size }),
      contributeNonFinite: () => {
        if (this.#reduction?.update === update) this.#reduction.resolve(NaN);
      },
    };
  }

  async optimize(step: OptimizerStep): Promise<void> {
    await this.#broadcast({ op: 'optimize', step });
  }

  /** Room for `snapshot` of vectors that have all `size` elements. */
  allocateCopy(vectors: readonly string[]): StateCopy {
    const start = (thread: number): number => Math.min(this.size, this.#firstShardOf(thread) * SHARD_FLOATS);
    return Object.fromEntries(vectors.map((vector) => [vector, this.#threads.map((_, thread) => new SharedArrayBuffer((start(thread + 1) - start(thread)) * 4))]));
  }

  /** Copies the vectors as they are now, whatever is called after; resolves when the copy is complete. */
  async snapshot(copy: StateCopy): Promise<void> {
    await Promise.all(
      this.#threads.map((_, thread) => {
        const parts: Record<string, SharedArrayBuffer> = {};
        for (const [vector, { [thread]: part }] of Object.entries(copy)) if (part) parts[vector] = part;
        return this.#send(thread, { op: 'snapshot', parts, first: this.#firstShardOf(thread) });
      }),
    );
  }

  /** Writes a vector's raw float32 values to a new file. */
  async write(vector: string, path: string): Promise<void> {
    await this.#broadcast({ op: 'write', vector, path });
  }

  async terminate(): Promise<void> {
    this.#fail(new Dd2Error('CANCELLED', 'the aggregator threads were stopped'));
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #threadOf(shard: number): number {
    return Math.min(this.#threads.length - 1, Math.floor((shard * this.#threads.length) / shardCount(this.size)));
  }

  #firstShardOf(thread: number): number {
    return Math.ceil((thread * shardCount(this.size)) / this.#threads.length);
  }

  /** @returns whether everything that was added is finite */
  async #broadcast(command: Command): Promise<boolean> {
    const answers = await Promise.all(this.#threads.map((_, thread) => this.#send(thread, command)));
    return answers.every((finite) => finite);
  }

  #send(thread: number, command: Command, transfer: ArrayBuffer[] = []): Promise<boolean> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#threads[thread]?.postMessage({ ...command, id }, transfer);
    });
  }

  #receive(reply: AggregatorReply): void {
    switch (reply.event) {
      case 'reduced': {
        const reduction = this.#reduction;
        if (reduction?.update !== reply.update || reduction.sums[reply.shard] !== undefined) return;
        reduction.sums[reply.shard] = reply.sumOfSquares;
        reduction.missing -= 1;
        // Summed in shard order, so that the norm does not depend on which shard came last.
        if (reduction.missing === 0) reduction.resolve(reduction.sums.reduce<number>((total, sum) => total + (sum ?? 0), 0));
        return;
      }
      case 'done':
        this.#waiting.get(reply.id)?.resolve(reply.finite ?? true);
        this.#waiting.delete(reply.id);
        return;
      case 'failed':
        this.#waiting.get(reply.id)?.reject(new Dd2Error(reply.code, reply.message));
        this.#waiting.delete(reply.id);
        return;
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#reduction?.reject(error);
  }
}
