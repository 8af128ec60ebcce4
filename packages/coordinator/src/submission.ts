import { createHash } from 'node:crypto';
import { isAbsolute, resolve } from 'node:path';
import { Dd2Error, parseRunSpec, type RunSpec } from '@dd2/core';

export interface Submission {
  readonly specYaml: string;
  readonly overrides: readonly string[];
  /** folder that the spec's relative paths start from */
  readonly basePath: string;
  /** the same key names the same run; a new run each time when empty */
  readonly idempotencyKey: string;
  readonly untilUpdate?: number | undefined;
  /** larger goes first */
  readonly priority?: number | undefined;
}

/** Keys are short names, overrides short lines: larger ones are a mistake or an attack. */
const MAX_KEY_LENGTH = 256;
const MAX_OVERRIDES = 256;
const MAX_OVERRIDE_LENGTH = 4_096;
const MAX_PRIORITY = 1_000;

/** The run spec that was submitted, with its paths made absolute. @throws {Dd2Error} INVALID_ARGUMENT, INVALID_SPEC */
export function parseSubmission({ specYaml, overrides, basePath, idempotencyKey: key, priority = 0 }: Submission): RunSpec {
  if (key.length > MAX_KEY_LENGTH) throw new Dd2Error('INVALID_ARGUMENT', `the key has ${key.length} characters`, { field: 'idempotency_key', remedy: `Use at most ${MAX_KEY_LENGTH}` });
  requireFewOverrides(overrides);
  if (Math.abs(priority) > MAX_PRIORITY) throw new Dd2Error('INVALID_ARGUMENT', `${priority} is no priority`, { field: 'priority', remedy: `Use a number from -${MAX_PRIORITY} to ${MAX_PRIORITY}` });
  const spec = parseRunSpec(specYaml, overrides);
  return { ...spec, assets: isAbsolute(spec.assets) ? spec.assets : resolve(basePath, spec.assets) };
}

/** @throws {Dd2Error} INVALID_ARGUMENT */
export function requireFewOverrides(overrides: readonly string[]): void {
  if (overrides.length <= MAX_OVERRIDES && overrides.every(({ length }) => length <= MAX_OVERRIDE_LENGTH)) return;
  throw new Dd2Error('INVALID_ARGUMENT', 'there are too many overrides, or too long ones', { field: 'overrides', remedy: 'Write them into the run spec' });
}

/** Identifies a spec's content, whatever its formatting. */
export function specSha256(spec: RunSpec): string {
  return createHash('sha256').update(JSON.stringify(spec)).digest('hex');
}

/** Refuses a spec that its assets cannot serve. @throws {Dd2Error} INVALID_SPEC */
export function requireFitting(spec: RunSpec, model: { readonly tokens: number }): void {
  const keep = spec.evaluation.multiStep.find((k) => k >= model.tokens);
  if (keep !== undefined) {
    throw new Dd2Error('INVALID_SPEC', `multi-step sampling cannot keep ${keep} of ${model.tokens} tokens`, { field: 'evaluation.multiStep', remedy: `Use values from 1 to ${model.tokens - 1}` });
  }
}
