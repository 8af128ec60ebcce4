import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { Dd2Error, parseRunSpec, type RunSpec } from '@dd2/core';

/** A run spec as a command line names it: validated here, sent as text. */
export interface SpecFile {
  readonly spec: RunSpec;
  /** YAML as it is in the file */
  readonly text: string;
  /** `key.path=value` assignments, applied by whoever parses the text */
  readonly overrides: readonly string[];
  /** folder that relative paths of the spec start from */
  readonly folder: string;
}

/** Names standard input where a run spec is asked for. */
export const STDIN = '-';

/** More than any run spec has; who validates it says how much that may be. */
const MAX_BYTES = 1 << 20;

/** @throws {Dd2Error} INVALID_SPEC for a file that cannot be read or does not validate */
export function readSpecFile(file: string, overrides: readonly string[] = []): SpecFile {
  const { text, folder } = readSpecText(file);
  return { spec: parseRunSpec(text, overrides), text, overrides, folder };
}

/** A run spec that is not validated yet. @throws {Dd2Error} INVALID_SPEC for a file that cannot be read */
export function readSpecText(file: string): Pick<SpecFile, 'text' | 'folder'> {
  try {
    return file === STDIN ? { text: readAll(0), folder: process.cwd() } : { text: readFile(file), folder: path.dirname(path.resolve(file)) };
  } catch (cause) {
    throw new Dd2Error('INVALID_SPEC', `the run spec cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      field: file,
      remedy: 'Name an existing YAML file, for example configs/mnist.yaml',
      cause,
    });
  }
}

function readFile(file: string): string {
  const opened = openSync(file, 'r');
  try {
    return readAll(opened);
  } finally {
    closeSync(opened);
  }
}

/** A device or a pipe may never end: what is too large for a run spec is not read to its end. */
function readAll(file: number): string {
  const bytes = Buffer.alloc(MAX_BYTES);
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(file, bytes, length, bytes.length - length, null);
  return bytes.toString('utf8', 0, length);
}

/**
 * Names a run by what it does: the same validated spec is the same run, whatever its formatting, comments and order of keys.
 * Submitting it again to the same data folder continues it.
 */
export function idempotencyKey(spec: RunSpec): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}
