import { expect, it } from 'vitest';
import { ContentStore } from './content-store.js';

it('keeps content until its last owner is gone, and says then that it is', () => {
  const contents = new ContentStore();
  const bytes = [new Uint8Array([1, 2]), new Uint8Array([3])];
  const id = contents.put(bytes, 'run');
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(contents.put([new Uint8Array([1]), new Uint8Array([2, 3])], 'evaluation')).toBe(id);
  expect(contents.release('run')).toEqual([]);
  expect(contents.get(id)).toBe(bytes);
  expect(contents.release('evaluation')).toEqual([id]);
  expect(contents.get(id)).toBeUndefined();
});
