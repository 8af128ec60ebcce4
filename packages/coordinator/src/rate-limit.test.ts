import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RateLimit } from './rate-limit.js';

function limited(perSecond: number, burst: number) {
  const clock = { now: 1_000 };
  return { clock, limit: new RateLimit({ perSecond, burst, now: () => clock.now }) };
}

it('lets a burst through, then the rate, and says how long to wait', () => {
  const { clock, limit } = limited(10, 3);
  expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([0, 0, 0, 100]);
  clock.now += 50;
  expect(limit.take('a')).toBe(50);
  clock.now += 50;
  expect([limit.take('a'), limit.take('a')]).toEqual([0, 100]);
  expect(limit.take('b')).toBe(0);
  clock.now += 1e6;
  expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([0, 0, 0, 100]);
});

it('never lets more through than burst and rate allow, and always what they allow', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 }), (perSecond, burst, waits) => {
      const { clock, limit } = limited(perSecond, burst);
      let taken = 0;
      let passed = 0;
      for (const wait of waits) {
        clock.now += wait;
        passed += wait;
        if (limit.take('a') === 0) taken += 1;
        expect(taken).toBeLessThanOrEqual(burst + (passed / 1_000) * perSecond + 1e-6);
      }
      clock.now += Math.ceil(1_000 / perSecond);
      expect(limit.take('a')).toBe(0);
    }),
  );
});

it('forgets who has not called for a while', () => {
  const { clock, limit } = limited(10, 3);
  for (let i = 0; i < 10_000; i++) {
    clock.now += 1;
    limit.take(`client ${i}`);
  }
  expect(limit.size).toBeLessThan(2_100);
});
