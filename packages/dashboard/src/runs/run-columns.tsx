import type { VNode } from 'preact';
import type { Run } from '../api/client.js';
import { Ago } from '../ui/ago.js';
import { Checkbox } from '../ui/field.js';
import type { Column } from '../ui/table.js';
import { formatCount, formatCyclePosition, formatDuration, formatFid, formatRate } from '../view/format.js';
import { Link } from '../view/view-state.js';
import { RunActions } from './run-actions.js';
import { progressOf, type SortKey } from './run-list.js';
import { Sparkline } from './sparkline.js';
import { StateBadge } from './state-badge.js';

/** one run has the page to itself, so many can lie over it */
export const MOST_SELECTED = 8;
export type RunColumn = SortKey | 'select' | 'curve' | 'actions';

export const sortLabels: Readonly<Record<SortKey, string>> = {
  name: 'Run',
  state: 'State',
  phase: 'Phase',
  progress: 'Progress',
  rate: 'Rate',
  eta: 'Time left',
  fid: 'Last FID',
  best: 'Best FID',
  priority: 'Priority',
  created: 'Submitted',
  updated: 'Changed',
};

/** what is looked for first: the newest, the furthest; but the lowest FID */
const largestFirst: ReadonlySet<SortKey> = new Set(['progress', 'rate', 'priority', 'created', 'updated']);

export interface RunColumnOptions {
  /** ids of the runs that are to be laid over each other */
  readonly selected: readonly string[];
  readonly select: (runId: string, isSelected: boolean) => void;
  /** whether any run has a priority of its own */
  readonly hasPriorities: boolean;
}

/** What the list tells of a run. */
export function runColumns({ selected, select, hasPriorities }: RunColumnOptions): readonly Column<Run, RunColumn>[] {
  const sortable = (key: SortKey): Pick<Column<Run, SortKey>, 'key' | 'label' | 'isSortable' | 'isLargestFirst'> => ({ key, label: sortLabels[key], isSortable: true, isLargestFirst: largestFirst.has(key) });
  return [
    {
      key: 'select',
      label: 'Select',
      class: 'runs-select',
      cell: ({ runId }) => <Checkbox isLabelHidden label={`Select ${runId}`} checked={selected.includes(runId)} disabled={!selected.includes(runId) && selected.length >= MOST_SELECTED} onChange={(checked) => select(runId, checked)} />,
    },
    {
      ...sortable('name'),
      class: 'runs-name',
      cell: ({ runId, name }) => (
        <Link to={`/runs/${encodeURIComponent(runId)}`}>
          {runId.startsWith(name) ? (
            <>
              <strong>{name}</strong>
              <span class="runs-hash">{runId.slice(name.length)}</span>
            </>
          ) : (
            runId
          )}
        </Link>
      ),
    },
    { ...sortable('state'), class: 'runs-state', cell: (run) => <StateBadge run={run} /> },
    {
      ...sortable('phase'),
      class: 'runs-phase',
      cell: (run) => (
        <>
          <span>{run.phase === '' ? '-' : run.phase}</span>
          {run.phase !== '' && run.state !== 'RUN_STATE_COMPLETED' && run.state !== 'RUN_STATE_CANCELLED' && <span class="muted small">{formatCyclePosition(run)}</span>}
        </>
      ),
    },
    { ...sortable('progress'), class: 'runs-progress', cell: (run) => <Progress run={run} /> },
    {
      ...sortable('eta'),
      isNumeric: true,
      class: 'runs-fid runs-eta',
      cell: ({ etaSeconds, updatesPerSecond }) => (
        <>
          <span>{etaSeconds === undefined ? '-' : formatDuration(Number(etaSeconds))}</span>
          {updatesPerSecond !== undefined && <span class="muted small">{formatRate(Number(updatesPerSecond))}</span>}
        </>
      ),
    },
    {
      ...sortable('fid'),
      isNumeric: true,
      class: 'runs-fid',
      cell: ({ lastFid, fidSamples }) => (
        <>
          <span>{formatFid(lastFid)}</span>
          {lastFid !== undefined && <span class="muted small">{formatCount(fidSamples)} samples</span>}
        </>
      ),
    },
    {
      ...sortable('best'),
      isNumeric: true,
      class: 'runs-fid',
      cell: ({ bestFid, bestUpdate }) => (
        <>
          <strong>{formatFid(bestFid)}</strong>
          {bestUpdate !== undefined && <span class="muted small">update {formatCount(bestUpdate)}</span>}
        </>
      ),
    },
    { key: 'curve', label: 'FID', class: 'runs-curve', cell: ({ fidCurve, bestFid }) => <Sparkline curve={fidCurve} best={bestFid === undefined ? undefined : Number(bestFid)} /> },
    ...(hasPriorities ? [{ ...sortable('priority'), class: 'runs-priority', isNumeric: true, cell: ({ priority }: Run) => priority }] : []),
    { ...sortable('created'), class: 'runs-created', isNumeric: true, cell: ({ createdAt }) => <Ago at={createdAt} /> },
    { ...sortable('updated'), class: 'runs-updated', isNumeric: true, cell: ({ updatedAt }) => <Ago at={updatedAt} /> },
    { key: 'actions', label: 'Actions', class: 'runs-actions', cell: (run) => <RunActions run={run} isCompact /> },
  ];
}

function Progress({ run }: { readonly run: Run }): VNode {
  return (
    <>
      <progress value={progressOf(run)} max={1} aria-label={`Progress of ${run.runId}`} />
      <span class="muted small">
        {formatCount(run.update)} / {formatCount(run.totalUpdates)}
      </span>
    </>
  );
}
