import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
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

/** @throws {Dd2Error} INVALID_SPEC for a file that cannot be read or does not validate */
export function readSpecFile(file: string, overrides: readonly string[] = []): SpecFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Dd2Error('INVALID_SPEC', `the run spec cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      field: file,
      remedy: 'Name an existing YAML file, for example configs/mnist.yaml',
      cause,
    });
  }
  return { spec: parseRunSpec(text, overrides), text, overrides, folder: path.dirname(path.resolve(file)) };
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
