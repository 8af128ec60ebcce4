import { splitPoint } from '@dd2/core';

/**
 * The fixed binary tree in which the gradients of an update's micro-batches are summed. Its shape depends on the number
 * of micro-batches only, so float32 rounding is the same whoever computed which micro-batch, in whatever order they arrive.
 *
 * The node [from, to) is split at from + the largest power of two below its length. A contribution is any node of the
 * tree: a leaf (one micro-batch), or a subtree that a worker has summed itself in the same order.
 */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The chain of nodes from the root down to `span`, or undefined when `span` is not a node of the tree over `leaves`. */
function pathTo(span: Span, leaves: number): Span[] | undefined {
  const path: Span[] = [];
  let node: Span = { from: 0, to: leaves };
  if (span.from < 0 || span.to > leaves || span.from >= span.to) return undefined;
  for (;;) {
    path.push(node);
    if (node.from === span.from && node.to === span.to) return path;
    if (node.to - node.from === 1) return undefined;
    const middle = node.from + splitPoint(node.to - node.from);
    if (span.to <= middle) node = { from: node.from, to: middle };
    else if (span.from >= middle) node = { from: middle, to: node.to };
    else return undefined;
  }
}

/** Cuts [0, leaves) into nodes of the tree that hold at most `largest` micro-batches: what workers lease. */
export function cutIntoBlocks(leaves: number, largest: number): Span[] {
  const blocks: Span[] = [];
  const visit = (node: Span): void => {
    const length = node.to - node.from;
    if (length <= Math.max(1, largest)) {
      blocks.push(node);
      return;
    }
    const middle = node.from + splitPoint(length);
    visit({ from: node.from, to: middle });
    visit({ from: middle, to: node.to });
  };
  visit({ from: 0, to: leaves });
  return blocks;
}

/** Storage of partial sums: `merge` may reuse its arguments, `release` gives a value back that is not needed. */
export interface Accumulator<T> {
  merge(left: T, right: T): T;
  release(value: T): void;
}

export class ReductionTree<T> {
  /** disjoint nodes that have arrived or been merged, by their first micro-batch */
  readonly #pending = new Map<number, { readonly to: number; readonly value: T }>();

  constructor(
    readonly leaves: number,
    readonly accumulator: Accumulator<T>,
  ) {}

  /**
   * Offers the sum over the node [from, to). Returns false, and releases the value, when the tree already holds those
   * micro-batches (a backup lease came second). A larger node replaces smaller ones: equal work gives equal bits.
   * @throws {RangeError} when [from, to) is not a node of the tree; the value is released
   */
  offer(span: Span, value: T): boolean {
    const path = pathTo(span, this.leaves);
    if (!path) {
      this.accumulator.release(value);
      throw new RangeError(`[${span.from}, ${span.to}) is not a node of the tree over ${this.leaves} micro-batches`);
    }
    for (const [from, node] of this.#pending) {
      if (from <= span.from && node.to >= span.to) {
        this.accumulator.release(value);
        return false;
      }
    }
    for (const [from, node] of [...this.#pending]) {
      if (from >= span.from && node.to <= span.to) {
        this.#pending.delete(from);
        this.accumulator.release(node.value);
      }
    }
    let current = { ...span, value };
    for (const parent of path.slice(0, -1).reverse()) {
      const isLeft = current.from === parent.from;
      const siblingFrom = isLeft ? current.to : parent.from;
      const sibling = this.#pending.get(siblingFrom);
      if (!sibling || sibling.to !== (isLeft ? parent.to : current.from)) break;
      this.#pending.delete(siblingFrom);
      const merged = isLeft ? this.accumulator.merge(current.value, sibling.value) : this.accumulator.merge(sibling.value, current.value);
      current = { ...parent, value: merged };
    }
    this.#pending.set(current.from, { to: current.to, value: current.value });
    return true;
  }

  /** The sum over all micro-batches, once every one has arrived. */
  get root(): T | undefined {
    const node = this.#pending.get(0);
    return node?.to === this.leaves ? node.value : undefined;
  }

  /** Gives all storage back. */
  clear(): void {
    for (const node of this.#pending.values()) this.accumulator.release(node.value);
    this.#pending.clear();
  }
}
