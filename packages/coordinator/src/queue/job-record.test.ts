import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeJob, encodeJob, failuresOf, fromStorePriority, jobId, retryDelay, storeId, toStorePriority } from './job-record.js';

describe('a job in the store', () => {
  it('has an id without colons that is no number, and from which its own follows', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (id) => {
        expect(jobId(storeId(id))).toBe(id);
        expect(storeId(id)).toMatch(/^job\.[^:\0]*$/);
      }),
    );
    expect(jobId('7')).toBeUndefined();
    expect(jobId(undefined)).toBeUndefined();
  });

  it('has a priority within the bounds of the store, and the larger comes first', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1_000_000, max: 1_000_000 }), fc.integer({ min: -1_000_000, max: 1_000_000 }), (a, b) => {
        expect(Math.sign(toStorePriority(a) - toStorePriority(b))).toBe(Math.sign(b - a));
        expect(fromStorePriority(toStorePriority(a))).toBe(a);
      }),
    );
    for (const priority of [-Infinity, Infinity, 1e9, -1e9, 0.4]) {
      expect(toStorePriority(priority)).toBeGreaterThanOrEqual(1);
      expect(toStorePriority(priority)).toBeLessThanOrEqual(2 ** 21);
    }
  });

  it('waits twice as long each time, at most five minutes', () => {
    expect([1, 2, 3, 4].map((failures) => retryDelay(failures, 1_000))).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(retryDelay(60, 1_000)).toBe(300_000);
  });

  it('that another version wrote is refused', () => {
    const schema = z.object({ value: z.number() });
    expect(decodeJob('a', encodeJob({ id: 'a', data: { value: 3 }, priority: 0 }, schema), schema)).toEqual({ value: 3 });
    for (const record of [undefined, {}, { json: '{', failures: 0 }, { json: '{"value":"3"}', failures: 0 }]) {
      expect(() => decodeJob('a', record, schema)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
    expect(failuresOf({ data: {}, attemptsMade: 2 })).toBe(2);
    expect(failuresOf({ data: { json: '1', failures: 3 }, attemptsMade: 2 })).toBe(5);
  });
});
