import { Writable } from 'node:stream';

/** Sends a message, and calls back when the next one may come. */
type Send<T> = (message: T, done: () => void) => void;

/** The stream that a streaming handler writes its messages to, over HTTP. It takes no more than the connection does. */
export class MessageWriter<T> extends Writable {
  constructor(
    private readonly send: Send<T>,
    signal: AbortSignal,
  ) {
    super({ objectMode: true, highWaterMark: 1 });
    // What goes wrong is told where the handler ends; who goes away, by the signal of the call.
    this.on('error', () => undefined);
    signal.addEventListener('abort', () => this.destroy(), { once: true });
  }

  override _write(message: T, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      this.send(message, done);
    } catch (thrown) {
      done(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  /** Resolves when everything was sent. @throws what went wrong while it was */
  finish(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.errored) reject(this.errored);
      this.once('error', reject);
      this.end(resolve);
    });
  }
}
