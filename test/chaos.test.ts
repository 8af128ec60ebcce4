import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runDd2, temporaryFolder } from './support/processes.js';
import { isInstalled } from './support/redis.js';

interface Report {
  readonly options: { readonly store: string };
  readonly identical: boolean;
  readonly runs: readonly { readonly runId: string; readonly lost?: string; readonly differences: readonly string[] }[];
  readonly faults: readonly { readonly target: string; readonly recoverySeconds?: number }[];
  readonly surprises: readonly string[];
}

/** A short one of what `dd2 chaos` does for minutes; in that time every target is struck. */
describe('the kill loop', { timeout: 300_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.dispose());

  /** A run of a few seconds. */
  const short = { 'phases.tune.updates': 40, 'phases.regress.updates': 30, 'phases.regress.pairs': 100, 'phases.distill.align': 10, 'phases.distill.generatorUpdates': 20, 'evaluation.everyGeneratorUpdates': 10 };
  const settings = Object.entries(short).flatMap(([key, value]) => ['--set', `${key}=${value}`]);

  const loop = async (targets: string): Promise<{ readonly code: number | null; readonly output: string; readonly report: Report }> => {
    const json = join(folder.path, 'report.json');
    const { code, output } = await runDd2(['chaos', '--minutes', '0.15', '--mtbf', '1.5', '--seed', '5', '--targets', targets, '--data-dir', join(folder.path, 'data'), '--json', json, ...settings]);
    return { code, output, report: JSON.parse(await readFile(json, 'utf8')) as Report };
  };

  it.skipIf(!isInstalled('redis-server'))('ends with the bits of an undisturbed run when workers, coordinator and queue store die', async () => {
    const { code, output, report } = await loop('worker,coordinator,store');
    expect(report.runs.flatMap(({ lost, differences }) => [...(lost === undefined ? [] : [lost]), ...differences]), output).toEqual([]);
    expect([code, report.identical, report.surprises, report.options.store]).toEqual([0, true, [], 'redis']);
    expect(new Set(report.faults.map(({ target }) => target))).toEqual(new Set(['worker', 'coordinator', 'store']));
    expect(report.faults.every(({ recoverySeconds }) => recoverySeconds !== undefined)).toBe(true);
    expect(output).toMatch(/s {2}coordinator (killed|frozen).*; next commit after \d+\.\d\d s\n/);
    expect(output).toMatch(/fault to next commit +faults +median +p95 +max\n/);
    expect(output).toMatch(/\d+ faults, \d+ runs: all with the same checkpoint hashes and FIDs as undisturbed\n/);
  });

  it('does so when the queues are kept in the data folder', async () => {
    const { code, output, report } = await loop('coordinator');
    expect([code, report.identical, report.surprises, report.options.store], output).toEqual([0, true, [], 'embedded']);
  });
});
