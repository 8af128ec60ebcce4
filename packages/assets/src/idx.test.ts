import { describe, expect, it } from 'vitest';
import { assetErrors } from './file-errors.js';
import { parseIdx } from './idx.js';

const file = 'images';
const good = Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6);

describe('parseIdx', () => {
  it('reads bytes of the expected shape', () => {
    expect(parseIdx(good, { file, shape: [2, 3], errors: assetErrors })).toEqual({ dtype: 'uint8', shape: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
  });

  it.each([
    ['an empty file', new Uint8Array(), 'header'],
    ['a header that is cut', good.subarray(0, 11), 'header'],
    ['another dtype', good.with(2, 9), 'magic'],
    ['another rank', good.with(3, 3), 'magic'],
    ['a compressed file', good.with(0, 0x1f), 'magic'],
    ['another dimension', good.with(7, 3), 'shape'],
    ['a huge dimension', good.with(4, 255), 'shape'],
    ['elements that are missing', good.subarray(0, 17), 'data'],
    ['elements too many', Uint8Array.of(...good, 7), 'data'],
  ])('refuses %s', (_, bytes, field) => {
    expect(() => parseIdx(bytes, { file, shape: [2, 3], errors: assetErrors })).toThrow(
      expect.objectContaining({ code: 'ASSET_CORRUPT', field, message: expect.stringContaining(file) as string, remedy: expect.any(String) as string }),
    );
  });
});
