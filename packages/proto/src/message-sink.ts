import { Dd2Error } from '@dd2/core';
import type { MessageWritable } from './rpc-types.js';
import { fromStatus } from './status.js';

/** Writes with back-pressure, and notices that the call is over while it waits: a dead call never drains. */
export class MessageSink<T> {
  readonly #stream: MessageWritable<T>;
  #over = false;
  #failure: Dd2Error | undefined;
  #wake: () => void = () => undefined;
  #pending = 0;

  constructor(stream: MessageWritable<T>) {
    this.#stream = stream;
    // A client's call ends with 'status'; a server's with 'close' (cancelled by the client, or the connection is lost).
    stream.once('status', this.#onStatus);
    stream.once('close', this.#onClose);
    stream.on('error', this.#onError);
    stream.on('drain', this.#onDrain);
    if (stream.destroyed) this.#onClose();
  }

  /** Resolves when more may be written; false when the call has ended well, so that nobody reads any more. @throws {Dd2Error} what the call failed with */
  async write(message: T): Promise<boolean> {
    // Its 'close' event may wait for the very loop that writes here.
    if (this.#stream.destroyed) this.#onClose();
    if (!this.#over) {
      this.#pending++;
      const more = this.#stream.write(message, this.#written);
      if (!more) await this.#until(() => !this.#stream.writableNeedDrain);
    }
    return this.#proceed();
  }

  /** Ends the stream and resolves when everything was handed to the connection; false and errors as `write`. */
  async end(): Promise<boolean> {
    if (!this.#over) {
      this.#stream.end();
      await this.#until(() => this.#pending === 0);
    }
    // An answer that comes after the last byte was taken is no interruption.
    if (this.#pending === 0 && this.#failure === undefined) return true;
    return this.#proceed();
  }

  /** Listens no more; to be called however the sending ends. */
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
    if (!this.#over && (this.#pending > 0 || !this.#stream.writableEnded)) this.#finish(new Dd2Error('CANCELLED', 'the stream was closed by the other side'));
  };
}
