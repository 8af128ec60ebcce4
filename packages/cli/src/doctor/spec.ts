import path from 'node:path';
import { openBundle } from '@dd2/assets';
import { checkRunSpec, Dd2Error, totalUpdates, type RunSpec } from '@dd2/core';
import type { Provider } from '../options.js';
import { formatCount } from '../render/format.js';
import { readSpecText } from '../spec-file.js';
import type { Finding } from './finding.js';

const CHECK = 'run spec';

/** The providers that a spec needs; none for one that is not valid. */
export function providersOf(spec: RunSpec | undefined): Provider[] {
  if (spec === undefined) return [];
  return [...new Set([spec.execution.provider, ...(spec.teacher?.execution ? [spec.teacher.execution.provider] : [])])];
}

/** A spec that is valid, for the checks that depend on it. */
export function readSpec(file: string, overrides: readonly string[]): RunSpec | undefined {
  try {
    const checked = checkRunSpec(readSpecText(file).text, overrides);
    return 'spec' in checked ? checked.spec : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a run spec would run here: the spec itself, its assets, and what it asks of the machine. */
export async function checkSpec(file: string, overrides: readonly string[], cores: number): Promise<Finding[]> {
  let text: string;
  let folder: string;
  try {
    ({ text, folder } = readSpecText(file));
  } catch (thrown) {
    return [failed(CHECK, thrown)];
  }
  const checked = checkRunSpec(text, overrides);
  if ('problems' in checked) {
    return checked.problems.map(({ field, message, remedy, line }) => ({ check: CHECK, status: 'problem', message: `${file}${line > 0 ? `:${line}` : ''}: ${message} (${field})`, remedy: remedy || undefined }));
  }
  const { spec } = checked;
  const findings: Finding[] = [{ check: CHECK, status: 'ok', message: `${file}: ${formatCount(totalUpdates(spec))} updates on ${spec.execution.provider}, ${threads(spec)}`, details: { totalUpdates: totalUpdates(spec) } }];
  if (spec.execution.provider === 'cpu' && spec.execution.intraOpThreads > cores) {
    findings.push({ check: CHECK, status: 'warning', message: `it asks for ${threads(spec)} and there are ${cores} cores`, remedy: `Use --set execution.intraOpThreads=${cores}; the number decides about the bits, so keep it for the whole run` });
  }
  try {
    const { manifest } = await openBundle(path.resolve(folder, spec.assets));
    const { requireFitting } = await import('@dd2/coordinator');
    requireFitting(spec, manifest.model);
    findings.push({ check: 'assets', status: 'ok', message: `${spec.assets}: all files are what the manifest says, and fit the spec` });
  } catch (thrown) {
    findings.push(failed('assets', thrown));
  }
  return findings;
}

const threads = ({ execution: { intraOpThreads } }: RunSpec): string => `${intraOpThreads} ${intraOpThreads === 1 ? 'thread' : 'threads'} a worker`;

function failed(check: string, thrown: unknown): Finding {
  const error = Dd2Error.from(thrown);
  const suffix = error.remedy === undefined ? '' : `. ${error.remedy}`;
  return { check, status: 'problem', message: suffix !== '' && error.message.endsWith(suffix) ? error.message.slice(0, -suffix.length) : error.message, remedy: error.remedy };
}
