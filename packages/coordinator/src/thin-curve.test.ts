import fc from 'fast-check';
import { expect, it } from 'vitest';
import { thinCurve } from './thin-curve.js';

it('leaves a short curve alone', () => {
  const curve = [{ fid: 3 }, { fid: 1 }];
  expect(thinCurve(curve, 64)).toBe(curve);
});

it('keeps first, last and lowest of a long one, in order, spread over all of it', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 65, maxLength: 500 }), fc.integer({ min: 3, max: 64 }), (values, most) => {
      const curve = values.map((fid, index) => ({ fid, index }));
      const thin = thinCurve(curve, most);
      expect(thin.length).toBeLessThanOrEqual(most);
      expect(thin.length).toBeGreaterThanOrEqual(most - 2);
      expect(thin[0]).toBe(curve[0]);
      expect(thin.at(-1)).toBe(curve.at(-1));
      expect(Math.min(...thin.map(({ fid }) => fid))).toBe(Math.min(...values));
      const places = thin.map(({ index }) => index);
      expect(places).toEqual([...places].sort((one, other) => one - other));
      const gaps = places.slice(1).map((place, k) => place - (places[k] ?? 0));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(Math.ceil((values.length - 1) / (most - 2)) + 1);
    }),
  );
});
