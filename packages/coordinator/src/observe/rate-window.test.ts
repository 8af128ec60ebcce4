import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateWindow } from './rate-window.js';

describe('RateWindow', () => {
  it('counts what happened in the last minute, whatever happened before', () => {
    const times = fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 200 });
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: 400_000 }), (all, now) => {
        const window = new RateWindow(0);
        const past = all.filter((at) => at <= now).sort((a, b) => a - b);
        for (const at of past) window.add(1, at);
        const oldest = (Math.floor(now / 1_000) - 59) * 1_000;
        expect(window.sum(now)).toBe(past.filter((at) => at >= oldest).length);
      }),
    );
  });

  it('spreads a time over the seconds that it covers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: 0, max: 200_000 }), (from, length) => {
        const window = new RateWindow(0);
        const to = from + length;
        window.addTime(from, to);
        const oldest = (Math.floor(to / 1_000) - 59) * 1_000;
        expect(window.sum(to)).toBeCloseTo(to - Math.max(from, oldest), 6);
        expect(window.sum(to + 30_000)).toBeCloseTo(Math.max(0, to - Math.max(from, oldest + 30_000)), 6);
        expect(window.sum(to + 61_000)).toBe(0);
      }),
    );
  });

  it('is a rate of the time that it has been open', () => {
    const window = new RateWindow(5_000);
    window.add(20, 5_100);
    expect(window.perSecond(5_200)).toBe(20); // not 200: a tenth of a second says little
    expect(window.perSecond(15_000)).toBe(2);
    expect(window.perSecond(64_999)).toBeCloseTo(20 / 60, 3);
    expect(window.perSecond(65_000)).toBe(0);
    const steady = new RateWindow(0);
    for (let at = 0; at < 300_000; at += 100) steady.add(3, at);
    expect(steady.perSecond(299_900)).toBeCloseTo(30, 0);
    expect(steady.perSecond(300_000)).toBeCloseTo(30, 0); // the first instant of a second
  });
});
