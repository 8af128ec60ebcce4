import type { ComponentChildren, VNode } from 'preact';
import { useCallback, useEffect, useMemo } from 'preact/hooks';
import { Chart } from '../charts/chart.js';
import type { ChartReference, ChartSeries, Zoom } from '../charts/chart-series.js';
import { axisParam, logXParam, setZoom, zoom } from '../charts/chart-params.js';
import type { StepModel } from '../grids/step-model.js';
import { fidScale, hiddenRuns } from '../run/run-params.js';
import type { RunData } from '../run/run-data.js';
import type { ShownRun } from '../run/shown-run.js';
import { ErrorState, problemOf } from '../ui/error-state.js';
import { Checkbox } from '../ui/field.js';
import { formatCount, formatFid } from '../view/format.js';
import { fidCsv } from './fid-csv.js';
import { fidLines, fidMarks, fidWarnings, marksNote } from './fid-lines.js';
import { fidDrawing, type DrawnRun } from './fid-series.js';
import { FidTable } from './fid-table.js';
import { MeasureReferences } from './measure-references.js';
import { chooseReferences, type ReferenceLine, type ReferenceSampler } from './reference-lines.js';
import './fid.css';

export interface FidSectionProps {
  /** the page's own run first */
  readonly runs: readonly ShownRun[];
  readonly model: StepModel;
  /** what is said instead of the chart while nothing is measured */
  readonly empty: ComponentChildren;
  /** the list of the runs that are drawn */
  readonly legend: ComponentChildren;
}

const referenceDashes: Readonly<Record<ReferenceSampler, readonly number[]>> = { teacher: [10, 4], reconstruction: [2, 3], naive: [6, 3, 1, 3] };

/** FID over steps, of this run and those laid over it, against what it should reach and what it must beat. */
export function FidSection({ runs, model, empty, legend }: FidSectionProps): VNode {
  const axis = axisParam.value;
  const logX = logXParam.value;
  const hidden = hiddenRuns.value;
  const own = runs[0];
  const shown = runs.filter(({ runId }) => !hidden.includes(runId));
  const key = shown.map(({ runId, label, colour }) => `${runId} ${label} ${colour}`).join();
  const everyPoints = shown.map(({ data }) => data.points.value);
  const everyPlaces = shown.map(({ data }) => data.places.value);
  useEffect(() => {
    // For whatever axis: the table and the CSV tell places on all of them, and one answer has them all.
    for (const { data } of shown) data.locate();
  }, [key, ...padded(everyPoints)]);
  const drawing = useMemo(
    () => fidDrawing(shown.map(({ runId, label, colour, dash }, index): DrawnRun => ({ runId, label, colour, dash, points: everyPoints[index] ?? [], places: everyPlaces[index] ?? new Map() })), axis),
    [axis, key, ...padded(everyPoints), ...padded(everyPlaces)],
  );
  const xDomain = useMemo(() => (logX ? undefined : paddedDomain(drawing.series)), [drawing, logX]);
  const ownPoints = own?.data.points.value;
  const { references, line } = useMemo(() => {
    const [first] = fidLines(ownPoints ?? []);
    return { line: first, references: first ? chooseReferences(first, [...(ownPoints ?? []), ...everyPoints.flat()]) : [] };
  }, [ownPoints, ...padded(everyPoints)]);
  const drawnReferences = useMemo(() => references.map(asReference), [references]);
  const points = everyPoints.flat();
  const lines = fidLines(points);
  const warnings = fidWarnings(lines, fidMarks(points));
  const note = marksNote(lines, fidMarks(points));
  const csv = useCallback(() => fidCsv(points, (runId) => runs.find((run) => run.runId === runId)?.data.places.value ?? new Map()), [points, runs]);
  const hasNothing = runs.every(({ data }) => data.evaluations.value !== undefined && data.points.value.length === 0);
  const isLoading = shown.some(({ data }) => data.evaluations.value === undefined);
  const problem = own?.data.measurementProblem.value;
  const current = model.current.value;
  return (
    <section class="panel fid" aria-label="FID over steps">
      {problem ? (
        <ErrorState error={problem} onRetry={() => own?.data.refresh()} />
      ) : hasNothing ? (
        <>
          <h2>FID over steps</h2>
          {empty}
        </>
      ) : (
        <>
          <Chart
            title="FID over steps"
            heading={2}
            hint="Fréchet distance between features of generated and of test images. Lower is better. It depends on the number of samples: only figures of equal numbers can be compared."
            fileName={`fid-${own?.runId ?? ''}`}
            series={drawing.series}
            annotations={drawing.annotations}
            references={drawnReferences}
            axis={axis}
            logX={logX}
            logY={fidScale.value === 'log'}
            zoom={zoom.value}
            onZoom={setZoom}
            xDomain={xDomain}
            height={380}
            format={formatFid}
            selectedX={model.x.value}
            onPick={(x) => model.selectAt(x)}
            busy={drawing.unplaced > 0}
            csv={csv}
            empty={drawing.unplaced > 0 ? 'The places of the measurements on this axis are not known yet' : isLoading ? 'Loading the measurements ...' : shown.length === 0 ? 'No run is drawn' : 'Nothing to draw'}
          />
          <div class="fid-below">
            <p class="muted small fid-note">
              {line && <>Each point: {formatCount(line.samples)} samples with the same noise. </>}
              {lines.some((one) => one.points.some(({ standardError }) => standardError !== undefined))
                ? 'The band is the 95 % confidence from that number (± 1.96 standard errors). '
                : line && 'They have no confidence interval: it was not measured, or the samples were too few for one. '}
              {note !== undefined && <>{note} </>}
              {current && (
                <>
                  The upright line is the step of the sample grids, update {formatCount(current.update)}: click a point to go there.
                </>
              )}
              {drawing.unplaced > 0 && <> {formatCount(drawing.unplaced)} measurements have no known place on this axis yet.</>}
            </p>
            <Checkbox label="Logarithmic FID" checked={fidScale.value === 'log'} onChange={(checked) => (fidScale.value = checked ? 'log' : 'linear')} />
          </div>
          {warnings.map((warning) => (
            <p key={warning} class="notice small">
              {warning}
            </p>
          ))}
          {own && <GivenUp data={own.data} />}
          {own && line && <MeasureReferences run={own.data} line={line} references={references} />}
        </>
      )}
      {legend}
      {!hasNothing && <FidTable runs={runs} csv={csv} />}
    </section>
  );
}

/** Says what could not be measured. */
function GivenUp({ data }: { readonly data: RunData }): VNode | null {
  const failed = (data.evaluations.value ?? []).filter(({ state }) => state === 'EVALUATION_STATE_FAILED');
  const last = failed.at(-1);
  if (!last) return null;
  return (
    <p class="notice small">
      {failed.length === 1 ? 'An evaluation was given up:' : `${formatCount(failed.length)} evaluations were given up; the last one:`} {last.sampler} at update {formatCount(last.update)}
      {last.error && (
        <>
          , {problemOf(last.error)} <code>{last.error.code}</code>
        </>
      )}
    </p>
  );
}

/** The range of the points with room for whole marks at both ends. */
function paddedDomain(series: readonly ChartSeries[]): Zoom | undefined {
  const xs = series.flatMap(({ points }) => points.x);
  if (xs.length === 0) return undefined;
  const [from, to] = [Math.min(...xs), Math.max(...xs)];
  const room = (to - from || Math.max(1, to)) * 0.015;
  return [from - room, to + room];
}

function asReference({ sampler, label, point }: ReferenceLine): ChartReference {
  return { label, y: point.fid, dash: referenceDashes[sampler] };
}

/** The lists of dependencies of a component have one length, however many runs are drawn. */
function padded(values: readonly unknown[]): unknown[] {
  return Array.from({ length: 8 }, (_, index) => values[index]);
}
