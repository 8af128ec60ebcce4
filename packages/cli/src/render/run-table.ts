import { RunState, type Run } from '@dd2/proto';
import { cycleInShort } from './cycle.js';
import { formatCount, formatDuration, formatFid } from './format.js';
import { stateName } from './run-outcome.js';
import { spark } from './spark.js';
import { renderTable, type Cell, type Column, type TableOptions } from './table.js';
import type { Style } from './terminal.js';

const stateStyles: Partial<Record<RunState, Style>> = {
  [RunState.RUNNING]: 'green',
  [RunState.PAUSING]: 'yellow',
  [RunState.PAUSED]: 'yellow',
  [RunState.FAILED]: 'red',
  [RunState.CANCELLED]: 'dim',
};

/** A state in its colour. */
export function stateCell(state: RunState): Cell {
  const style = stateStyles[state];
  return style === undefined ? stateName(state) : [style, stateName(state)];
}

const SPARK_LENGTH = 12;

const columns: readonly Column[] = [
  { title: 'run' },
  { title: 'state' },
  { title: 'priority', align: 'right', optional: true, dropped: 8 },
  { title: 'phase', dropped: 5 },
  { title: 'updates', align: 'right' },
  { title: 'cycle', optional: true, dropped: 7 },
  { title: 'left', align: 'right', optional: true, dropped: 3 },
  { title: 'last FID', align: 'right', optional: true, dropped: 6 },
  { title: 'best FID', align: 'right', optional: true, dropped: 1 },
  { title: 'FID', optional: true, dropped: 9 },
  { title: 'waits for', optional: true, shrinksTo: 14, dropped: 4 },
];

/** One row per run. */
export function renderRuns(runs: readonly Run[], { unicode = true, ...options }: TableOptions & { readonly unicode?: boolean } = {}): string {
  const prioritised = runs.some(({ priority }) => priority !== 0);
  const rows = runs.map((run): Cell[] => [
    run.runId,
    stateCell(run.state),
    prioritised ? String(run.priority) : '',
    run.phase,
    `${formatCount(run.update)}/${formatCount(run.totalUpdates)}`,
    run.state === RunState.RUNNING ? cycleInShort(run) : '',
    run.etaSeconds === undefined ? '' : formatDuration(run.etaSeconds),
    lastFid(run),
    bestFid(run),
    unicode ? spark(run.fidCurve.map(({ fid }) => fid), SPARK_LENGTH) : '',
    run.waitingFor,
  ]);
  return renderTable(columns, rows, options);
}

/** 8.54 (5,000) */
export const lastFid = ({ lastFid, fidSamples }: Run): string => (lastFid === undefined ? '' : formatFid(lastFid, fidSamples));

/** `7.42 at 3,300`: the update whose checkpoint has it */
export const bestFid = ({ bestFid, bestUpdate }: Run): string => (bestFid === undefined ? '' : `${bestFid.toFixed(2)}${bestUpdate === undefined ? '' : ` at ${formatCount(bestUpdate)}`}`);
