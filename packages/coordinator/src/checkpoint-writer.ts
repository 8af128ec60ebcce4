import { Worker } from 'node:worker_threads';
import type { FileDigest } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import type { CheckpointTensor } from './checkpoint.js';
import type { StateCopy } from './state-copy.js';

type Tensors = Readonly<Record<string, CheckpointTensor>>;

export interface WriterMessage {
  readonly id: number;
  readonly path: string;
  readonly tensors: Tensors;
  readonly copy: StateCopy;
}

export type WriterReply = { readonly id: number; readonly digest: FileDigest } | { readonly id: number; readonly failure: string };

/** Writes and hashes files in a thread of its own: hundreds of megabytes must not hold up leases and heartbeats. */
export class CheckpointWriter {
  // From src, where tests run, this is the compiled thread as well.
  readonly #thread = new Worker(new URL('../dist/checkpoint-writer-thread.js', import.meta.url), { name: 'dd2-checkpoint-writer' });
  readonly #waiting = new Map<number, { resolve: (digest: FileDigest) => void; reject: (error: Error) => void }>();
  #nextId = 1;
  #failure: Error | undefined;

  constructor() {
    this.#thread.on('message', (reply: WriterReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('digest' in reply) waiting?.resolve(reply.digest);
      else waiting?.reject(new Dd2Error('INTERNAL', reply.failure));
    });
    this.#thread.on('error', (error) => this.#fail(error));
    this.#thread.on('exit', () => this.#fail(new Dd2Error('INTERNAL', 'the thread that writes checkpoints ended')));
  }

  /** Has the thread ended? */
  get ended(): boolean {
    return this.#failure !== undefined;
  }

  /** Writes a safetensors file from a copy of the state. @throws {Dd2Error} INTERNAL when the file system refuses */
  async write(path: string, tensors: Tensors, copy: StateCopy): Promise<FileDigest> {
    if (this.#failure) throw this.#failure;
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#thread.postMessage({ id, path, tensors, copy } satisfies WriterMessage);
    });
  }

  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
