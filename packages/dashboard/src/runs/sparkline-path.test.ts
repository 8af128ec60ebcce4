import { expect, it } from 'vitest';
import { sparklinePath } from './sparkline-path.js';

const places = (path: string): number[][] => path.split(/[ML]/).slice(1).map((one) => one.split(' ').map(Number));

it('draws the curve in its box, lowest FID at the bottom, equal ratios as equal steps', () => {
  const drawn = sparklinePath([{ update: 0, fid: 100 }, { update: 50, fid: 10 }, { update: 100, fid: 1 }], 96, 28);
  expect(places(drawn?.path ?? '')).toEqual([[3, 3], [48, 14], [93, 25]]);
  expect(drawn?.best).toEqual({ x: 93, y: 25 });
});

it('draws one point, and equal points, in the middle', () => {
  expect(sparklinePath([{ update: 5, fid: 7 }], 96, 28)?.best).toEqual({ x: 48, y: 14 });
  expect(places(sparklinePath([{ update: 0, fid: 7 }, { update: 1, fid: 7 }], 96, 28)?.path ?? '')).toEqual([[3, 14], [93, 14]]);
});

it('leaves out what cannot be drawn', () => {
  expect(sparklinePath([], 96, 28)).toBeUndefined();
  expect(sparklinePath([{ update: 0, fid: 'NaN' }, { update: 1, fid: 'Infinity' }, { update: 2, fid: 0 }], 96, 28)).toBeUndefined();
  expect(sparklinePath([{ update: 0, fid: 'NaN' }, { update: 1, fid: 5 }], 96, 28)?.path).toBe('M48 14');
});
