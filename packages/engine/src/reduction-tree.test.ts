import { describe, expect, it } from 'vitest';
import { requireSubtree, sumTree } from './reduction-tree.js';

async function shape(first: number, count: number): Promise<string> {
  return sumTree(first, count, (index) => Promise.resolve(String(index)), (left, right) => `(${left}+${right})`);
}

describe('the reduction tree', () => {
  it('splits at the largest power of two below the number of leaves', async () => {
    expect(await shape(0, 1)).toBe('0');
    expect(await shape(0, 2)).toBe('(0+1)');
    expect(await shape(0, 4)).toBe('((0+1)+(2+3))');
    expect(await shape(0, 5)).toBe('(((0+1)+(2+3))+4)');
    expect(await shape(0, 7)).toBe('(((0+1)+(2+3))+((4+5)+6))');
  });

  it('of an aligned part is a node of the whole tree', async () => {
    const whole = await shape(0, 13);
    for (const [first, count] of [[0, 8], [4, 4], [8, 5], [8, 4], [10, 2], [12, 1]] as const) {
      expect(whole).toContain(await shape(first, count));
      requireSubtree(Array.from({ length: count }, (_, i) => first + i));
    }
  });

  it('has no node for other parts', () => {
    for (const indices of [[], [1, 2], [2, 3, 4], [0, 2], [4, 5, 6, 7, 8], [1, 0]]) {
      expect(() => requireSubtree(indices)).toThrow(/no subtree/);
    }
  });
});
