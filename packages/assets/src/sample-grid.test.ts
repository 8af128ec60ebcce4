import type { HostTensor } from '@dd2/core';
import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { encodeGridPng } from './sample-grid.js';

const images = (count: number): HostTensor<'uint8'> => ({ dtype: 'uint8', shape: [count, 2, 3], data: Uint8Array.from({ length: count * 6 }, (_, i) => 100 + i) });

describe('encodeGridPng', () => {
  it('places images in rows, magnified, with a frame', () => {
    const { width, height, channels, data } = decode(encodeGridPng(images(3), 2, { scale: 2, border: 1 }));
    expect([width, height, channels]).toEqual([2 * 7 + 1, 2 * 5 + 1, 1]);
    const rows = Array.from({ length: height }, (_, y) => [...data.slice(y * width, (y + 1) * width)].join(' '));
    const f = 32;
    expect(rows).toEqual(
      [
        Array<number>(15).fill(f),
        ...[0, 0, 1, 1].map((y) => [f, ...[0, 0, 1, 1, 2, 2].map((x) => 100 + 3 * y + x), f, ...[0, 0, 1, 1, 2, 2].map((x) => 106 + 3 * y + x), f]),
        Array<number>(15).fill(f),
        ...[0, 0, 1, 1].map((y) => [f, ...[0, 0, 1, 1, 2, 2].map((x) => 112 + 3 * y + x), ...Array<number>(8).fill(f)]),
        Array<number>(15).fill(f),
      ].map((row) => row.join(' ')),
    );
  });

  it('has defaults', () => {
    const { width, height } = decode(encodeGridPng({ dtype: 'uint8', shape: [20, 28, 28], data: new Uint8Array(20 * 784) }, 10));
    expect([width, height]).toEqual([10 * 60 + 4, 2 * 60 + 4]);
  });

  it.each<[string, string, () => Uint8Array]>([
    ['no images', 'images', () => encodeGridPng(images(0), 2)],
    ['another rank', 'images', () => encodeGridPng({ dtype: 'uint8', shape: [4], data: new Uint8Array(4) }, 2)],
    ['missing pixels', 'images', () => encodeGridPng({ dtype: 'uint8', shape: [2, 2, 2], data: new Uint8Array(4) }, 2)],
    ['no columns', 'columns', () => encodeGridPng(images(1), 0)],
    ['a fractional scale', 'scale', () => encodeGridPng(images(1), 1, { scale: 1.5 })],
    ['a negative border', 'border', () => encodeGridPng(images(1), 1, { border: -1 })],
    ['a gigantic picture', 'images', () => encodeGridPng(images(1), 1, { scale: 10_000 })],
  ])('refuses %s', (_, field, draw) => {
    expect(draw).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', field, remedy: expect.any(String) as string }));
  });
});
