import type { Block } from '@dd2/engine';

interface Copy {
  readonly target: Float32Array;
  readonly done: () => void;
}

/**
 * Shards as they were at one moment, while the originals go on: each is copied when there is time, at the latest before it
 * changes. So taking a snapshot costs nothing, and waiting for one costs the copies that could not be made in time.
 */
export class ShardSnapshots {
  /** copies that are still to be made, by shard */
  readonly #pending = new Map<Block, Copy[]>();

  /** Copies shards as they are now to their targets; `complete` is called when all are. */
  take(shards: readonly { readonly block: Block; readonly target: Float32Array }[], complete: () => void): void {
    let missing = shards.length;
    const done = (): void => {
      missing -= 1;
      if (missing === 0) complete();
    };
    for (const { block, target } of shards) this.#pending.set(block, [...(this.#pending.get(block) ?? []), { target, done }]);
    if (shards.length === 0) complete();
  }

  /** Call before every change to a shard. */
  beforeChange(block: Block): void {
    const copies = this.#pending.get(block);
    if (!copies) return;
    this.#pending.delete(block);
    for (const { target, done } of copies) {
      target.set(block.view());
      done();
    }
  }

  /** Copies one shard. @returns whether others are left */
  copyNext(): boolean {
    const [next] = this.#pending.keys();
    if (next) this.beforeChange(next);
    return this.#pending.size > 0;
  }
}
