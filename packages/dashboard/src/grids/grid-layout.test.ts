import { expect, it } from 'vitest';
import { cellBox, cellName, gridLayout } from './grid-layout.js';

it('finds the images of a grid of ten by ten, 28 pixels doubled', () => {
  const layout = gridLayout(604, 604);
  expect(layout).toEqual({ width: 604, height: 604, columns: 10, rows: 10, side: 56, step: 60 });
  if (!layout) return;
  expect(cellBox(layout, 0)).toEqual({ left: 4, top: 4, side: 56 });
  expect(cellBox(layout, 99)).toEqual({ left: 544, top: 544, side: 56 });
});

it('finds rows in a picture that is not square', () => expect(gridLayout(604, 124)).toMatchObject({ rows: 2 }));
it('takes no other picture for a grid', () => {
  expect(gridLayout(0, 0)).toBeUndefined();
  expect(gridLayout(40, 40)).toBeUndefined();
});
it('names a cell by its class and row', () => expect(cellName(23)).toBe('class 3, row 3'));
