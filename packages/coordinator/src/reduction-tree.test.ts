import { splitPoint } from '@dd2/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutIntoBlocks, ReductionTree, type Span } from './reduction-tree.js';

/** The definition: plain recursion in float32. */
function treeSum(values: Float32Array, { from, to }: Span): number {
  if (to - from === 1) return values[from] ?? 0;
  const middle = from + splitPoint(to - from);
  return Math.fround(treeSum(values, { from, to: middle }) + treeSum(values, { from: middle, to }));
}

function nodes(span: Span): Span[] {
  if (span.to - span.from === 1) return [span];
  const middle = span.from + splitPoint(span.to - span.from);
  return [span, ...nodes({ from: span.from, to: middle }), ...nodes({ from: middle, to: span.to })];
}

/** Storage that notices when something is used after its release, or released twice. */
class Cells {
  readonly live = new Set<{ sum: number }>();

  acquire(sum: number): { sum: number } {
    const cell = { sum };
    this.live.add(cell);
    return cell;
  }

  release = (cell: { sum: number }): void => {
    if (!this.live.delete(cell)) throw new Error('released twice');
  };

  merge = (left: { sum: number }, right: { sum: number }): { sum: number } => {
    if (!this.live.has(left) || !this.live.has(right)) throw new Error('used after its release');
    left.sum = Math.fround(left.sum + right.sum);
    this.release(right);
    return left;
  };
}

const leavesAndOffers = fc.integer({ min: 1, max: 40 }).chain((leaves) =>
  fc.record({
    values: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e6), max: Math.fround(1e6) }), { minLength: leaves, maxLength: leaves }).map((v) => Float32Array.from(v)),
    // any nodes, repeated, overlapping, in any order; then every leaf, so that the sum is complete
    offers: fc.array(fc.constantFrom(...nodes({ from: 0, to: leaves })), { maxLength: 60 }),
    rest: fc.shuffledSubarray(Array.from({ length: leaves }, (_, from) => ({ from, to: from + 1 })), { minLength: leaves }),
  }),
);

describe('ReductionTree', () => {
  it('gives the bits of the plain recursive sum, whatever arrives in whatever order, and keeps only the sum', () => {
    fc.assert(
      fc.property(leavesAndOffers, ({ values, offers, rest }) => {
        const cells = new Cells();
        const tree = new ReductionTree(values.length, cells);
        for (const span of [...offers, ...rest]) tree.offer(span, cells.acquire(treeSum(values, span)));
        expect(tree.root?.sum).toBe(treeSum(values, { from: 0, to: values.length }));
        expect(cells.live.size).toBe(1);
        tree.clear();
        expect(cells.live.size).toBe(0);
        expect(tree.root).toBeUndefined();
      }),
    );
  });

  it('says whether a contribution was news', () => {
    const cells = new Cells();
    const tree = new ReductionTree(5, cells);
    expect(tree.offer({ from: 0, to: 1 }, cells.acquire(1))).toBe(true);
    expect(tree.offer({ from: 0, to: 1 }, cells.acquire(1))).toBe(false);
    expect(tree.offer({ from: 0, to: 4 }, cells.acquire(4))).toBe(true); // a larger node takes the place of a smaller one
    expect(tree.offer({ from: 2, to: 4 }, cells.acquire(2))).toBe(false);
    expect(tree.root).toBeUndefined();
    expect(tree.offer({ from: 4, to: 5 }, cells.acquire(1))).toBe(true);
    expect(tree.root?.sum).toBe(5);
    expect(cells.live.size).toBe(1);
  });

  it.each([{ from: 1, to: 3 }, { from: 3, to: 3 }, { from: -1, to: 1 }, { from: 4, to: 6 }, { from: 0, to: 3 }, { from: 0.5, to: 1 }])('refuses $from to $to of 5 micro-batches and gives their storage back', (span) => {
    const cells = new Cells();
    expect(() => new ReductionTree(5, cells).offer(span, cells.acquire(1))).toThrow(RangeError);
    expect(cells.live.size).toBe(0);
  });
});

describe('cutIntoBlocks', () => {
  it('covers all micro-batches with nodes of the tree that are no larger than allowed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 300 }), (leaves, largest) => {
        const blocks = cutIntoBlocks(leaves, largest);
        const known = new Set(nodes({ from: 0, to: leaves }).map(({ from, to }) => `${from} ${to}`));
        expect(blocks.every(({ from, to }) => known.has(`${from} ${to}`) && to - from <= Math.max(1, largest))).toBe(true);
        expect(blocks.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))).toEqual(Array.from({ length: leaves }, (_, i) => i));
      }),
    );
  });
});
