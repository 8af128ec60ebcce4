/** Checkpoints of a run that somebody reads. They are not removed meanwhile. */
export class CheckpointHolds {
  readonly #readers = new Map<number, number>();

  has(update: number): boolean {
    return this.#readers.has(update);
  }

  /** Holds checkpoints until the holder is disposed of. */
  hold(...updates: readonly number[]): Disposable {
    for (const update of updates) this.#readers.set(update, (this.#readers.get(update) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) for (const update of updates) this.#letGo(update);
        held = false;
      },
    };
  }

  #letGo(update: number): void {
    const others = (this.#readers.get(update) ?? 0) - 1;
    if (others > 0) this.#readers.set(update, others);
    else this.#readers.delete(update);
  }
}
