import type { VNode } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { axisParam } from '../charts/chart-params.js';
import { ChartControls } from '../charts/chart-controls.js';
import { cursor } from '../charts/cursor.js';
import { CompareChooser } from '../compare/compare-chooser.js';
import { RunLegend } from '../compare/run-legend.js';
import { RunPicker } from '../compare/run-picker.js';
import { FidSection } from '../fid/fid-section.js';
import { gridSteps } from '../grids/grid-steps.js';
import { GridsSection, type GridRun } from '../grids/grids-section.js';
import { StepModel } from '../grids/step-model.js';
import { MetricsSection } from '../metrics/metrics-section.js';
import { isActive } from '../api/live.js';
import { NoFid, NoGrids, NothingBeside } from './empty-states.js';
import { MAX_OVERLAID, overlaidRuns, selectedUpdate } from './run-params.js';
import type { SpecFacts } from './spec-facts.js';
import type { ShownRun } from './shown-run.js';

export interface RunOverviewProps {
  /** the page's own first, then the overlaid ones, then the one to compare with when it is not among them */
  readonly runs: readonly ShownRun[];
  /** ids of those that are drawn in the charts */
  readonly drawn: readonly string[];
  /** id of the run whose grids are shown beside; empty for none */
  readonly compared: string;
  readonly facts: SpecFacts;
}

/** FID, grids and metrics over one axis, with one cursor. */
export function RunOverview({ runs, drawn, compared, facts }: RunOverviewProps): VNode | null {
  const own = runs[0];
  const beside = runs.find(({ runId }) => runId === compared);
  const model = useMemo(
    () => own && new StepModel({ runId: own.runId, points: own.data.points, places: own.data.places, axis: axisParam, cursor, selected: selectedUpdate }),
    [own?.data],
  );
  const shown = useMemo(() => runs.filter(({ runId }) => drawn.includes(runId)), [runs, drawn]);
  const axis = axisParam.value;
  const besidePoints = beside?.data.points.value;
  useEffect(() => beside?.data.locate(), [beside?.data, besidePoints]);
  const besideSteps = useMemo(() => (beside && besidePoints ? gridSteps(besidePoints, beside.runId) : []), [beside?.runId, besidePoints]);
  // a cursor that an earlier view left behind
  useEffect(() => () => void (cursor.value = undefined), []);
  const liveness = shown.map(({ data }) => data.run.value && isActive(data.run.value)).join();
  const metricRuns = useMemo(() => shown.map(({ runId, label, data }) => ({ runId, label, live: data.run.peek() !== undefined && isActive(data.run.peek() ?? { state: 'RUN_STATE_UNSPECIFIED' }) })), [shown, liveness]);
  if (!own || !model) return null;
  const besideRun: GridRun | undefined = beside && { label: beside.label, steps: besideSteps, places: beside.data.places.value };
  const remove = (runId: string): void => {
    overlaidRuns.value = overlaidRuns.value.filter((overlaid) => overlaid !== runId);
  };
  return (
    <div class="stack run-overview">
      <ChartControls />
      <FidSection
        runs={shown}
        model={model}
        empty={<NoFid data={own.data} facts={facts} />}
        legend={
          <div class="stack fid-runs">
            <RunLegend runs={shown} onRemove={remove} />
            <RunPicker own={own.runId} chosen={drawn.slice(1)} most={MAX_OVERLAID} onChange={(chosen) => (overlaidRuns.value = chosen)} />
          </div>
        }
      />
      <GridsSection
        run={{ label: own.label, steps: model.steps.value, places: own.data.places.value }}
        model={model}
        axis={axis}
        beside={besideRun}
        chooser={<CompareChooser own={own.runId} />}
        empty={<NoGrids data={own.data} />}
        besideEmpty={beside && <NothingBeside data={beside.data} />}
      />
      <MetricsSection runs={metricRuns} selectedX={model.x.value} onPick={(x) => model.selectAt(x)} {...(facts.cycle ? { cycle: facts.cycle } : {})} />
    </div>
  );
}
