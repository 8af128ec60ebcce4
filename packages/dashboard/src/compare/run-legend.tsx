import type { VNode } from 'preact';
import { Swatch } from '../charts/swatch.js';
import { bestOf } from '../fid/fid-point.js';
import { fidLines } from '../fid/fid-lines.js';
import { figureText } from '../fid/figure-text.js';
import { hiddenRuns } from '../run/run-params.js';
import type { ShownRun } from '../run/shown-run.js';
import { StateBadge } from '../runs/state-badge.js';
import { IconButton } from '../ui/button.js';
import { Checkbox } from '../ui/field.js';
import { problemOf } from '../ui/error-state.js';
import { Table, type Column } from '../ui/table.js';
import { formatCount } from '../view/format.js';
import { Link } from '../view/view-state.js';

/** The runs that are drawn, with their last and best figures; each can be hidden, the overlaid ones taken away. */
export function RunLegend({ runs, onRemove }: { readonly runs: readonly ShownRun[]; readonly onRemove: (runId: string) => void }): VNode {
  const own = runs[0]?.runId;
  const columns: readonly Column<ShownRun>[] = [
    { key: 'shown', label: 'Drawn', cell: ({ runId, label }) => <Checkbox isLabelHidden label={`Draw ${label}`} checked={!hiddenRuns.value.includes(runId)} onChange={(drawn) => setDrawn(runId, drawn)} /> },
    {
      key: 'run',
      label: 'Run',
      cell: (run) => (
        <span class="legend-run">
          <Swatch series={{ colour: run.colour, dash: run.dash, marks: true }} />
          {run.runId === own ? <b>{run.label}</b> : <Link to={`/runs/${encodeURIComponent(run.runId)}`}>{run.label}</Link>}
        </span>
      ),
    },
    { key: 'state', label: 'State', cell: ({ data }) => <RunStanding data={data} /> },
    { key: 'last', label: 'Last FID', isNumeric: true, cell: ({ data }) => <Figure data={data} which="last" /> },
    { key: 'best', label: 'Best FID', isNumeric: true, cell: ({ data }) => <Figure data={data} which="best" /> },
    {
      key: 'remove',
      label: '',
      cell: ({ runId, label }) =>
        runId === own ? null : (
          <span class="row legend-actions">
            <Link class="small" to="/diff" params={{ a: own, b: runId }} aria-label={`spec diff with ${label}`}>
              spec diff
            </Link>
            <IconButton label={`Take ${label} away`} icon="cross" kind="quiet" onClick={() => onRemove(runId)} />
          </span>
        ),
    },
  ];
  return <Table caption="Runs that are drawn" isCards columns={runs.length > 1 ? columns : columns.filter(({ key }) => key !== 'shown' && key !== 'remove')} rows={runs} rowKey={({ runId }) => runId} />;
}

function setDrawn(runId: string, drawn: boolean): void {
  hiddenRuns.value = drawn ? hiddenRuns.value.filter((hidden) => hidden !== runId) : [...hiddenRuns.value, runId];
}

function RunStanding({ data }: Pick<ShownRun, 'data'>): VNode {
  const run = data.run.value;
  const problem = data.problem.value;
  if (run) return <StateBadge run={run} />;
  return <span class="muted">{problem ? problemOf(problem) : 'loading ...'}</span>;
}

function Figure({ data, which }: Pick<ShownRun, 'data'> & { readonly which: 'last' | 'best' }): VNode {
  const points = fidLines(data.points.value)[0]?.points ?? [];
  const point = which === 'last' ? points.at(-1) : bestOf(points);
  if (!point) return <span>-</span>;
  return (
    <span class="legend-figure">
      {figureText(point)}
      <span class="muted small">at update {formatCount(point.update)}</span>
    </span>
  );
}
