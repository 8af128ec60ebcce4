import { Worker } from 'node:worker_threads';
import { Dd2Error, type ErrorCode } from '@dd2/core';
import { SHARD_FLOATS, shardCount, shardLength, type OptimizerStep } from './aggregator.js';
import type { Span } from './reduction-tree.js';

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
  | { readonly op: 'contributeFile'; readonly update: number; readonly span: Span; readonly path: string; readonly size: number }
  | { readonly op: 'read'; readonly vector: string }
  | { readonly op: 'write'; readonly vector: string; readonly path: string };

export type AggregatorMessage =
  | (Command & { readonly id: number })
  | { readonly op: 'contribute'; readonly update: number; readonly span: Span; readonly shard: number; readonly data: ArrayBuffer };

export type AggregatorReply =
  | { readonly event: 'done'; readonly id: number; readonly shards?: readonly ShardData[] }
  | { readonly event: 'failed'; readonly id: number | undefined; readonly code: ErrorCode; readonly message: string }
  | { readonly event: 'reduced'; readonly update: number; readonly shard: number; readonly sumOfSquares: number };

/** An update's reduction while contributions arrive. */
export interface Reduction {
  /** Adds one shard of the gradient of micro-batches [from, to); the bytes are copied. */
  contribute(span: Span, shard: number, bytes: Uint8Array): void;
  /** Adds the whole gradient of micro-batches [from, to) from a file of raw float32 values. Rejects when it is not that. */
  contributeFile(span: Span, path: string): Promise<void>;
  /** Resolves with the sum of squares of the summed gradient once every shard has every micro-batch. */
  readonly complete: Promise<number>;
}

/** The shards of a run's vectors, spread in contiguous ranges over aggregator threads. */
export class Aggregators {
  readonly #threads: Worker[];
  readonly #waiting = new Map<number, { resolve: (shards: readonly ShardData[]) => void; reject: (error: Error) => void }>();
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
      contribute: (span, shard, bytes) => {
        const data = new ArrayBuffer(bytes.byteLength);
        new Uint8Array(data).set(bytes);
        this.#threads[this.#threadOf(shard)]?.postMessage({ op: 'contribute', update, span, shard, data } satisfies AggregatorMessage, [data]);
      },
      contributeFile: async (span, path) => {
        await this.#broadcast({ op: 'contributeFile', update, span, path, size });
      },
    };
  }

  async optimize(step: OptimizerStep): Promise<void> {
    await this.#broadcast({ op: 'optimize', step });
  }

  /** The shards of a vector in order; together they are its float32 values. */
  async read(vector: string): Promise<Uint8Array[]> {
    const parts = await this.#broadcast({ op: 'read', vector });
    return parts.sort((a, b) => a.shard - b.shard).map(({ data }) => new Uint8Array(data));
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

  async #broadcast(command: Command): Promise<ShardData[]> {
    return (await Promise.all(this.#threads.map((_, thread) => this.#send(thread, command)))).flat();
  }

  #send(thread: number, command: Command, transfer: ArrayBuffer[] = []): Promise<readonly ShardData[]> {
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
        this.#waiting.get(reply.id)?.resolve(reply.shards ?? []);
        this.#waiting.delete(reply.id);
        return;
      case 'failed': {
        const error = new Dd2Error(reply.code, reply.message);
        if (reply.id === undefined) return this.#fail(error);
        this.#waiting.get(reply.id)?.reject(error);
        this.#waiting.delete(reply.id);
        return;
      }
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#reduction?.reject(error);
  }
}
