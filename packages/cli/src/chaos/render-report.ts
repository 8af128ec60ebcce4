import { formatCount } from '../render/format.js';
import { renderTable } from '../render/table.js';
import type { KillLoopReport } from './kill-loop.js';

/** Recovery times as a table, and what became of the runs. */
export function renderKillLoop({ runs, faults, recovery, identical, surprises }: KillLoopReport): string {
  const seconds = (value: number): string => `${value.toFixed(2)} s`;
  const table = renderTable(
    [{ title: 'fault to next commit' }, { title: 'faults', align: 'right' }, { title: 'median', align: 'right' }, { title: 'p95', align: 'right' }, { title: 'max', align: 'right' }],
    recovery.map(({ target, kind, count, median, p95, max }) => [`${target} ${kind}`, formatCount(count), seconds(median), seconds(p95), seconds(max)]),
  );
  const wrong = runs.flatMap(({ runId, seed, lost, differences }) => [...(lost === undefined ? [] : [lost]), ...differences].map((what) => `run ${runId} (seed ${seed}): ${what}`));
  const same = runs.filter(({ lost, differences }) => lost === undefined && differences.length === 0).length;
  return [
    table,
    '',
    ...wrong,
    ...(surprises.length === 0 ? [] : [`${surprises.length} processes ended although nobody had killed them`]),
    `${formatCount(faults.length)} faults, ${formatCount(runs.length)} runs: ${identical ? 'all' : `${same} of them`} with the same checkpoint hashes and FIDs as undisturbed`,
  ].join('\n');
}
