/**
 * The messages of a stream, until it ends or somebody stops reading it. A stream that is no longer read, unlike one that is
 * destroyed, can still be answered with the reason.
 */
export class ControlMessages<T> {
  readonly #messages: AsyncIterator<T>;
  #stopped: { readonly error: Error | undefined } | undefined;
  #wake = (): void => undefined;

  constructor(stream: AsyncIterable<T>) {
    this.#messages = stream[Symbol.asyncIterator]();
  }

  /** Ends the reading: with an error it throws, without it returns. The first call counts. */
  stop(error?: Error): void {
    this.#stopped ??= { error };
    this.#wake();
  }

  async *read(): AsyncGenerator<T, void> {
    for (;;) {
      const next = await this.#next();
      if (this.#stopped?.error) throw this.#stopped.error;
      if (this.#stopped || !next || next.done) return;
      yield next.value;
    }
  }

  /** A promise of its own for every message: racing one promise again and again would keep a reaction for each. */
  #next(): Promise<IteratorResult<T, unknown> | undefined> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined);
      if (this.#stopped) return resolve(undefined);
      this.#messages.next().then(resolve, reject);
    });
  }
}
