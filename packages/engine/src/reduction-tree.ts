import { Dd2Error, splitPoint } from '@dd2/core';

/**
 * Sums `count` leaves, first, first + 1, ..., in the fixed binary tree: sum(left part, right part), recursively. A worker that
 * sums an aligned part of an update's micro-batches therefore produces the very node that the whole tree has there.
 * `add(left, right)` returns their sum and may reuse either. At most log2(count) + 1 results of `leaf` are alive at a time.
 */
export async function sumTree<T>(first: number, count: number, leaf: (position: number) => Promise<T>, add: (left: T, right: T) => T): Promise<T> {
  if (count === 1) return leaf(first);
  const half = splitPoint(count);
  const left = await sumTree(first, half, leaf, add);
  const right = await sumTree(first + half, count - half, leaf, add);
  return add(left, right);
}

/**
 * Whether micro-batches are a node of the tree: consecutive, starting at a multiple of the next power of two.
 * @throws Dd2Error INVALID_ARGUMENT
 */
export function requireSubtree(indices: readonly number[]): void {
  const [first = 0] = indices;
  const consecutive = indices.every((index, position) => index === first + position);
  const width = indices.length === 1 ? 1 : 2 * splitPoint(indices.length);
  if (indices.length === 0 || !consecutive || first % width !== 0) {
    throw new Dd2Error('INVALID_ARGUMENT', `Micro-batches [${indices.join(', ')}] are no subtree of the reduction`, {
      field: 'microBatches',
      remedy: 'Lease consecutive micro-batches that start at a multiple of the power of two that covers them',
    });
  }
}
