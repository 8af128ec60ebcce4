/**
 * Where the fixed reduction tree splits a node of `length` > 1 micro-batches: the left part gets the largest power of two
 * below the length. Workers (engine) and coordinator sum in this one order, so that a subtree summed by a worker is the very
 * node that the whole tree has there.
 */
export function splitPoint(length: number): number {
  return 2 ** (31 - Math.clz32(length - 1));
}
