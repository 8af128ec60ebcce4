import type { Run } from '@dd2/proto';
import { formatCount, formatFid } from './format.js';
import { stateName } from './run-outcome.js';
import { renderTable } from './table.js';

/** One row per run. */
export function renderRuns(runs: readonly Run[]): string {
  return renderTable(
    [
      { title: 'run' },
      { title: 'state' },
      { title: 'priority', align: 'right' },
      { title: 'phase' },
      { title: 'updates', align: 'right' },
      { title: 'last FID', align: 'right' },
      { title: 'best FID', align: 'right' },
      { title: 'waits for' },
    ],
    runs.map((run) => [run.runId, stateName(run.state), String(run.priority), run.phase, `${formatCount(run.update)}/${formatCount(run.totalUpdates)}`, lastFid(run), bestFid(run), run.waitingFor]),
  );
}

/** A run in full, one line for everything that is known. */
export function describeRun(run: Run): string {
  const rows = [
    ['run', run.runId],
    ['state', stateName(run.state)],
    ['waits for', run.waitingFor],
    ['priority', String(run.priority)],
    ['phase', run.phase],
    ['updates', `${formatCount(run.update)} of ${formatCount(run.totalUpdates)}, ${formatCount(run.generatorUpdates)} generator updates`],
    ['last FID', lastFid(run)],
    ['best FID', bestFid(run)],
    ['error', run.error ? `${run.error.code}: ${run.error.message}` : ''],
  ];
  return rows.flatMap(([name = '', value = '']) => (value === '' ? [] : [`${name.padEnd(9)} ${value}`])).join('\n');
}

/** A run for JSON: the fields of the wire, with names and times as people write them. */
export function plainRun(run: Run): object {
  const { runId, name, phase, update, totalUpdates, generatorUpdates, lastFid, bestFid, bestUpdate, fidSamples, priority, waitingFor, error } = run;
  const time = (at: Run['createdAt']): string | undefined => at && new Date(Number(at.seconds) * 1_000 + at.nanos / 1e6).toISOString();
  return {
    runId,
    name,
    state: stateName(run.state),
    priority,
    waitingFor,
    phase,
    update,
    totalUpdates,
    generatorUpdates,
    lastFid,
    bestFid,
    bestUpdate,
    fidSamples,
    createdAt: time(run.createdAt),
    updatedAt: time(run.updatedAt),
    error: error && { code: error.code, message: error.message, field: error.field, remedy: error.remedy },
  };
}

const lastFid = ({ lastFid, fidSamples }: Run): string => (lastFid === undefined ? '' : formatFid(lastFid, fidSamples));

/** `7.42 at 3,300`: the update whose checkpoint has it */
const bestFid = ({ bestFid, bestUpdate }: Run): string => (bestFid === undefined ? '' : `${bestFid.toFixed(2)}${bestUpdate === undefined ? '' : ` at ${formatCount(bestUpdate)}`}`);
