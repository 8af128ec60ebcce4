import { Dd2Error, type ErrorCode } from '@dd2/core';

/** How problems of a kind of file are reported: the codes, and what the reader can do. */
export interface FileErrors {
  readonly missing: ErrorCode;
  readonly corrupt: ErrorCode;
  readonly remedy: string;
}

export const assetErrors: FileErrors = {
  missing: 'ASSET_MISSING',
  corrupt: 'ASSET_CORRUPT',
  remedy: 'Make the assets again: run `npx dd2 prepare mnist`',
};

export const checkpointErrors: FileErrors = {
  missing: 'CHECKPOINT_CORRUPT',
  corrupt: 'CHECKPOINT_CORRUPT',
  remedy: 'Remove this checkpoint and resume from an older one',
};

/** The error of a damaged file; `field` says which part of it. */
export function corruptFile(errors: FileErrors, file: string, problem: string, field?: string, cause?: unknown): Dd2Error {
  return new Dd2Error(errors.corrupt, `${file}: ${problem}`, { field, remedy: errors.remedy, details: { file }, cause });
}

/** Turns what a file-system call threw while reading `file` into a typed error. */
export function unreadableFile(errors: FileErrors, file: string, thrown: unknown): Dd2Error {
  if (thrown instanceof Dd2Error) return thrown;
  const absent = ['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '');
  const problem = absent ? `${file} does not exist` : `${file} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  return new Dd2Error(absent ? errors.missing : 'INTERNAL', problem, {
    remedy: absent ? errors.remedy : 'Check the file and its permissions',
    details: { file },
    cause: thrown,
  });
}

/** Turns what a file-system call threw while writing `file` into a typed error. */
export function unwritableFile(file: string, thrown: unknown): Dd2Error {
  if (thrown instanceof Dd2Error) return thrown;
  return new Dd2Error('INTERNAL', `${file} cannot be written: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
    remedy: 'Check the free space and the permissions of its folder',
    details: { file },
    cause: thrown,
  });
}

/** `ENOENT` and the like */
export function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
