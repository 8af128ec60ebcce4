import { describe, expect, it } from 'vitest';
import { Dd2Error, errorCodes } from './errors.js';

describe('Dd2Error', () => {
  it('says problem, field and remedy in one line', () => {
    const error = new Dd2Error('INVALID_SPEC', 'min must be below max', { field: 'time.min', remedy: 'Lower it' });
    expect(error.message).toBe('min must be below max (time.min). Lower it');
    expect(new Dd2Error('INTERNAL', 'broken').message).toBe('broken');
  });

  it('keeps the cause and the identifiers', () => {
    const cause = new Error('first');
    const error = new Dd2Error('UNAVAILABLE', 'second', { cause, details: { run: 'r', update: 3 } });
    expect(error.cause).toBe(cause);
    expect(error.details).toEqual({ run: 'r', update: 3 });
    expect(error.retryable).toBe(true);
    expect('cause' in new Dd2Error('INTERNAL', 'broken')).toBe(false);
  });

  it('wraps anything that was thrown, once', () => {
    const typed = new Dd2Error('NON_FINITE', 'x');
    expect(Dd2Error.from(typed)).toBe(typed);
    const plain = new RangeError('y');
    expect(Dd2Error.from(plain, 'PROTOCOL')).toMatchObject({ code: 'PROTOCOL', message: 'y', cause: plain });
    expect(Dd2Error.from('z')).toMatchObject({ code: 'INTERNAL', message: 'z' });
  });

  it('has a gRPC status and an HTTP error status for every code', () => {
    for (const { grpc, http } of Object.values(errorCodes)) {
      expect(grpc).toBeGreaterThanOrEqual(1);
      expect(grpc).toBeLessThanOrEqual(16);
      expect(http).toBeGreaterThanOrEqual(400);
    }
  });
});
