import { Dd2Error, errorCodes, type ErrorCode } from '@dd2/core';
import { create, ErrorDetailSchema, RunSchema, RunState } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { describeExitCodes, exitCodeOf, exitCodes } from './exit-codes.js';
import { requireNotFailed } from './follow-run.js';

const codes = Object.keys(errorCodes) as ErrorCode[];

describe('exit codes', () => {
  it.each(codes)('%s has one that is described, and that shells have not given away', (code) => {
    const exitCode = exitCodeOf(new Dd2Error(code, 'x'));
    expect(exitCodes[exitCode]).toMatch(/\w/);
    expect(exitCode).toBeGreaterThan(0);
    expect(exitCode).toBeLessThan(64);
    expect(describeExitCodes()).toMatch(new RegExp(`\\b${code}\\b`));
  });

  it('tell apart what a script decides by', () => {
    const of = (code: ErrorCode): number => exitCodeOf(new Dd2Error(code, 'x'));
    expect(['INVALID_SPEC', 'RUN_NOT_FOUND', 'UNAUTHENTICATED', 'UNAVAILABLE', 'NOT_COMPARABLE'].map((code) => of(code as ErrorCode))).toEqual([2, 3, 4, 5, 6]);
    // Trying again helps exactly where 5 says so.
    for (const code of codes) expect(of(code) === 5).toBe(errorCodes[code].retryable);
  });

  it('say that a run failed, whatever it failed with', () => {
    const failed = (code: ErrorCode) => create(RunSchema, { runId: 'a', state: RunState.FAILED, error: create(ErrorDetailSchema, { code, message: 'damaged', field: '', remedy: '' }) });
    for (const code of ['ASSET_CORRUPT', 'UNAVAILABLE', 'RUN_FAILED'] as const) {
      try {
        requireNotFailed(failed(code));
        expect.unreachable();
      } catch (thrown) {
        expect(thrown).toMatchObject({ code, message: 'damaged' });
        expect(exitCodeOf(thrown as Dd2Error)).toBe(7);
      }
    }
    expect(() => requireNotFailed(create(RunSchema, { state: RunState.PAUSED }))).not.toThrow();
  });
});
