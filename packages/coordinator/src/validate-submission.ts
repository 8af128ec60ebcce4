import { isAbsolute, resolve } from 'node:path';
import { checkRunSpec, Dd2Error, totalUpdates, type RunSpec } from '@dd2/core';
import type { MessageInitShape, ValidateRunSpecResponseSchema } from '@dd2/proto';
import { stringify } from 'yaml';
import { intactManifest } from './intact-bundle.js';
import { requireFewOverrides, requireFitting, type Submission } from './submission.js';

/**
 * Says what is wrong with a run spec, as submitting it would: all of it, with lines of the text. Changes nothing.
 * @throws {Dd2Error} INVALID_ARGUMENT for overrides that are too many or too long
 */
export async function validateSubmission({ specYaml, overrides, basePath }: Pick<Submission, 'specYaml' | 'overrides' | 'basePath'>): Promise<MessageInitShape<typeof ValidateRunSpecResponseSchema>> {
  requireFewOverrides(overrides);
  const checked = checkRunSpec(specYaml, overrides);
  if ('problems' in checked) return { problems: [...checked.problems] };
  const { spec } = checked;
  const trouble = await troubleWithAssets(spec, basePath);
  if (!trouble) return { specYaml: stringify(spec), totalUpdates: totalUpdates(spec) };
  const field = trouble.code === 'INVALID_SPEC' ? (trouble.field ?? 'assets') : 'assets';
  return { problems: [{ field, message: trouble.problem, remedy: trouble.remedy ?? '', line: lineOf(specYaml, field) }] };
}

async function troubleWithAssets(spec: RunSpec, basePath: string): Promise<Dd2Error | undefined> {
  try {
    const folder = isAbsolute(spec.assets) ? spec.assets : resolve(basePath, spec.assets);
    requireFitting(spec, (await intactManifest(folder)).model);
    return undefined;
  } catch (thrown) {
    return Dd2Error.from(thrown, 'ASSET_MISSING');
  }
}

/** The line of a top-level field, or of the section that a dotted path begins with; 0 when an override gave it. */
function lineOf(text: string, field: string): number {
  const key = field.split('.')[0] ?? field;
  return text.split('\n').findIndex((line) => line.startsWith(`${key}:`)) + 1;
}
