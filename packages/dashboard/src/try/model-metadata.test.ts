import { expect, it } from 'vitest';
import { readMetadata } from './model-metadata.js';

const bytes = (number: number, content: readonly number[]): number[] => [(number << 3) | 2, ...(content.length < 128 ? [content.length] : [(content.length & 127) | 128, content.length >> 7]), ...content];
const text = (value: string): number[] => [...new TextEncoder().encode(value)];
const entry = (key: string, value: string): number[] => bytes(14, [...bytes(1, text(key)), ...bytes(2, text(value))]);

it('reads the metadata and skips what else is there', () => {
  const graph = bytes(7, new Array<number>(300).fill(0xff));
  const model = Uint8Array.from([0x08, 0x88, 0x01, ...entry('dd2.run', 'mnist-1'), ...graph, ...entry('dd2.classes', '10'), ...entry('empty', ''), ...entry('note', 'é'.repeat(80))]);
  expect([...readMetadata(model)]).toEqual([['dd2.run', 'mnist-1'], ['dd2.classes', '10'], ['empty', ''], ['note', 'é'.repeat(80)]]);
});

it.each([
  ['a page', text('<!doctype html>')],
  ['a file that was cut off', bytes(7, [1, 2, 3]).slice(0, -1)],
  ['a number without an end', [0x08, 0xff, 0xff]],
])('refuses %s', (_, model) => {
  expect(() => readMetadata(Uint8Array.from(model))).toThrow(RangeError);
});
