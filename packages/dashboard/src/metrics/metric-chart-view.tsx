import type { VNode } from 'preact';
import { useCallback, useEffect, useMemo, useRef } from 'preact/hooks';
import { axisParam, logXParam, logYParam, setZoom, smoothParam, zoom } from '../charts/chart-params.js';
import { Chart, type ChartReference, type ChartSeries } from '../charts/chart.js';
import { runColour, runDash, seriesColour } from '../charts/palette.js';
import { drawnSeries, stackedSeries, type DrawnSeries } from './drawn-series.js';
import { frequencyChart, type MetricChart } from './metric-charts.js';
import type { LoadedSeries } from './series-layer.js';
import type { SeriesRun, SeriesStore } from './series-store.js';

export interface MetricRun extends SeriesRun {
  /** for people */
  readonly label: string;
}

export interface MetricChartViewProps {
  readonly chart: MetricChart;
  readonly runs: readonly MetricRun[];
  /** of the whole view: colours follow from them */
  readonly runIds: readonly string[];
  readonly store: SeriesStore;
  readonly selectedX: number | undefined;
  readonly onPick: ((x: number) => void) | undefined;
  readonly cycle: { readonly guidance: number; readonly generator: number } | undefined;
}

/** Dashes of several series of one run. */
const dashes: readonly (readonly number[])[] = [[], [7, 3], [2, 2.5], [9, 3, 2, 3]];
const height = 190;

/** One chart of metrics, for the series that the store has; tells the store what it wants while it is on screen. */
export function MetricChartView({ chart, runs, runIds, store, selectedX, onPick, cycle }: MetricChartViewProps): VNode {
  const axis = axisParam.value;
  const range = zoom.value;
  const smooth = chart.smooth === false ? 0 : smoothParam.value;
  const parts = runs.flatMap((run) =>
    chart.names.map((name, index) => ({ run, name, index, whole: store.whole(run.runId, name), part: store.part(run.runId, name) })),
  );
  const drawn = useDrawn(parts, axis, range);
  const several = chart.names.length > 1;
  // recomputed when what it is made of changes: data is kept by identity
  const series = useMemo((): ChartSeries[] => {
    const lines = parts.flatMap(({ run, name, index }, at): ChartSeries[] => {
      const found = drawn[at];
      if (!found || (found.points.x.length === 0 && several)) return [];
      const label = several ? (chart.labels?.[index] ?? name) : run.label;
      return [
        {
          id: `${run.runId}/${name}`,
          label: several && runs.length > 1 ? `${run.label}, ${label}` : label,
          colour: chart.stacked ? seriesColour(index) : runColour(run.runId, runIds),
          dash: chart.stacked ? false : several ? (dashes[index] ?? []) : runDash(run.runId, runIds),
          smooth,
          ...found,
        },
      ];
    });
    return chart.stacked ? stackedSeries(lines) : lines;
  }, [drawn, chart, runs, runIds, smooth]);

  const references = useMemo((): ChartReference[] => {
    if (chart.id !== frequencyChart || !cycle) return [];
    return [{ label: `declared: ${cycle.guidance} x guidance then ${cycle.generator} x generator`, y: cycle.guidance / cycle.generator }];
  }, [chart, cycle?.guidance, cycle?.generator]);

  const id = useRef(`${chart.id}/${runs.map(({ runId }) => runId).join('/')}`).current;
  const onScreen = useCallback((isOnScreen: boolean) => (isOnScreen ? store.show(id, chart.names) : store.hide(id)), [store, id, chart]);
  useEffect(() => () => store.hide(id), [store, id]);
  const label = runs[0]?.label ?? '';
  return (
    <Chart
      title={chart.stacked && runIds.length > 1 ? `${chart.title}, ${label}` : chart.title}
      hint={chart.hint}
      heading={4}
      yLabel={chart.unit}
      series={series}
      axis={axis}
      logX={logXParam.value}
      logY={logYParam.value && !chart.stacked}
      zoom={range}
      onZoom={setZoom}
      xDomain={store.extent.value}
      height={height}
      fromZero={chart.fromZero ?? false}
      whole={chart.whole ?? false}
      references={references}
      selectedX={selectedX}
      {...(onPick ? { onPick } : {})}
      empty={drawn.some((one) => one) ? (range ? 'No values in this range' : 'No values yet') : store.busy.value ? 'Loading' : ''}
      fileName={`${runIds.join('-')}-${chart.id}`}
      onScreen={onScreen}
      onWidth={(pixels) => store.setWidth(pixels)}
    />
  );
}

interface Loaded {
  readonly whole: LoadedSeries | undefined;
  readonly part: LoadedSeries | undefined;
}

/** What is drawn of each series; the same object as long as what it is made of is the same. */
function useDrawn(parts: readonly Loaded[], axis: Parameters<typeof drawnSeries>[2], range: Parameters<typeof drawnSeries>[3]): readonly (DrawnSeries | undefined)[] {
  const kept = useRef<{ readonly sources: readonly (LoadedSeries | undefined)[]; readonly axis: unknown; readonly range: unknown; readonly drawn: readonly (DrawnSeries | undefined)[] }>(undefined);
  const sources = parts.flatMap(({ whole, part }) => [whole, part]);
  const last = kept.current;
  const isSame = last && last.axis === axis && last.range === range && last.sources.length === sources.length && last.sources.every((source, index) => source === sources[index]);
  if (!isSame) kept.current = { sources, axis, range, drawn: parts.map(({ whole, part }) => drawnSeries(whole, part, axis, range)) };
  return kept.current?.drawn ?? [];
}
