import { errorCodes, type Dd2Error, type ErrorCode } from '@dd2/core';

/** A clean stop that a signal asked for, as shells count it. */
export const INTERRUPTED = 130;

/** What was waited for is a run, and it did not reach its end. */
const RUN_ENDED = 7;

/** What each exit code says. Scripts rely on them: a number is given away once. */
export const exitCodes: Readonly<Record<number, string>> = {
  0: 'done; for `dd2 doctor`: no problem',
  1: 'an error of its own kind; a problem that `dd2 doctor` found, a difference that `dd2 chaos` found, a checkpoint that is damaged',
  2: 'the command line or the run spec is wrong',
  3: 'what was named is not there: a run, a file, an asset bundle',
  4: 'not let in: no token, or another one',
  5: 'nobody answers, or it is too busy: trying again can help',
  6: 'it does not fit how things stand: the run is elsewhere, the figures are not comparable, the data folder is in use',
  [RUN_ENDED]: 'the run that was waited for failed or was cancelled',
  8: 'a file is damaged',
  9: 'this machine, or this version, cannot do it',
  [INTERRUPTED]: 'interrupted by Ctrl-C or SIGTERM, in order',
};

/** Every error code has an exit code. */
const ofError: Readonly<Record<ErrorCode, number>> = {
  INTERNAL: 1,
  PROTOCOL: 1,
  INVALID_ARGUMENT: 2,
  INVALID_SPEC: 2,
  RUN_NOT_FOUND: 3,
  ASSET_MISSING: 3,
  UNAUTHENTICATED: 4,
  UNAVAILABLE: 5,
  RESOURCE_EXHAUSTED: 5,
  RUN_CONFLICT: 6,
  NOT_COMPARABLE: 6,
  FENCED: 6,
  STALE_LEASE: 6,
  RUN_FAILED: RUN_ENDED,
  NON_FINITE: RUN_ENDED,
  CANCELLED: RUN_ENDED,
  ASSET_CORRUPT: 8,
  CHECKPOINT_CORRUPT: 8,
  PROVIDER_UNAVAILABLE: 9,
  UNSUPPORTED_OPERATION: 9,
};

/** The detail by which an error says that it is how a run ended, whatever its code: see `requireNotFailed`. */
export const ENDED = 'ended';

export function exitCodeOf({ code, details }: Dd2Error): number {
  return ENDED in details ? RUN_ENDED : ofError[code];
}

/** The table, for `dd2 help exit-codes`. */
export function describeExitCodes(): string {
  const codes = Object.keys(errorCodes) as ErrorCode[];
  const lines = Object.entries(exitCodes).map(([exitCode, meaning]) => {
    const errors = codes.filter((code) => ofError[code] === Number(exitCode));
    return `${exitCode.padStart(5)}  ${meaning}${errors.length > 0 ? `\n       ${errors.join(', ')}` : ''}`;
  });
  return `Exit codes, and the codes of the errors that they stand for:\n\n${lines.join('\n')}`;
}
