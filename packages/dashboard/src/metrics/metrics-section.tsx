import type { VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api } from '../api/client.js';
import { axisParam, logXParam, zoom } from '../charts/chart-params.js';
import { param, text } from '../view/view-state.js';
import { MetricChartView, type MetricRun } from './metric-chart-view.js';
import { isMeant, metricCharts, metricGroups } from './metric-charts.js';
import type { SeriesAnswer } from './series-layer.js';
import { SeriesStore, type StoreSurroundings } from './series-store.js';
import './metrics.css';

export type { MetricRun } from './metric-chart-view.js';

const filterParam = param('charts', text());

const browser: StoreSurroundings = {
  ask: (runId, request, signal) => api.get<SeriesAnswer>(`/runs/${encodeURIComponent(runId)}/series`, { ...request }, { signal }),
  setTimer: (run, delayMs) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  isHidden: () => document.visibilityState === 'hidden',
  onShown: (listener) => {
    const look = (): void => {
      if (document.visibilityState === 'visible') listener();
    };
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  },
  now: () => performance.now(),
};

export interface MetricsSectionProps {
  /** the page's own run first, then those that are overlaid */
  readonly runs: readonly MetricRun[];
  /** the slider's step, on the axis of the charts */
  readonly selectedX?: number | undefined;
  readonly onPick?: (x: number) => void;
  /** as the run spec declares it */
  readonly cycle?: { readonly guidance: number; readonly generator: number } | undefined;
}

/** The charts of everything that the updates of one or more runs have measured. */
export function MetricsSection({ runs, selectedX, onPick, cycle }: MetricsSectionProps): VNode {
  const store = useStore(runs);
  const available = store.available.value;
  const words = filterParam.value.trim();
  const charts = useMemo(() => metricCharts(available), [available]);
  const shown = charts.filter((chart) => words === '' || isMeant(chart, words));
  const problems = [...store.problems.value];
  const runIds = useMemo(() => runs.map(({ runId }) => runId), [runs]);
  return (
    <section class="metrics" aria-labelledby="metrics-title" aria-busy={store.busy.value}>
      <div class="metrics-head">
        <h2 id="metrics-title">Metrics</h2>
        {store.busy.value && <span class="metrics-busy small muted">loading</span>}
        <div class="field metrics-filter">
          <label class="visually-hidden" for="metrics-filter">
            Show charts whose name has
          </label>
          <input id="metrics-filter" type="search" placeholder="Find a chart" value={filterParam.value} onInput={({ currentTarget }) => (filterParam.value = currentTarget.value)} />
        </div>
      </div>
      {problems.length > 0 && (
        <div class="metrics-problem" role="alert">
          <p>
            {problems.map(([runId, problem]) => (
              <span key={runId}>
                The metrics of {runs.find((run) => run.runId === runId)?.label ?? runId} could not be loaded: {problem.message}.{' '}
              </span>
            ))}
          </p>
          <button type="button" class="button" onClick={() => store.retry()}>
            Try again
          </button>
        </div>
      )}
      {metricGroups.map((group) => {
        const members = shown.filter((chart) => chart.group === group);
        if (members.length === 0) return null;
        return (
          <section key={group} class="metrics-group" aria-label={group}>
            <h3 class="metrics-group-title">{group}</h3>
            <div class="chart-grid">
              {members.flatMap((chart) =>
                (chart.stacked ? runs.map((run) => [run]) : [runs]).map((drawn) => (
                  <MetricChartView key={chart.stacked ? `${chart.id}/${drawn[0]?.runId ?? ''}` : chart.id} chart={chart} runs={drawn} runIds={runIds} store={store} selectedX={selectedX} onPick={onPick} cycle={cycle} />
                )),
              )}
            </div>
          </section>
        );
      })}
      {shown.length === 0 && words !== '' && (
        <p class="muted">
          No chart has “{words}” in its name.{' '}
          <button type="button" class="button button-quiet" onClick={() => (filterParam.value = '')}>
            Show all
          </button>
        </p>
      )}
    </section>
  );
}

/** One store for as long as the section is on the page; it follows the parameters of the view. */
function useStore(runs: readonly MetricRun[]): SeriesStore {
  const [store] = useState(() => new SeriesStore({ axis: axisParam.peek(), logX: logXParam.peek(), zoom: zoom.peek() }, browser));
  const axis = axisParam.value;
  const logX = logXParam.value;
  const range = zoom.value;
  useEffect(() => store.setView({ axis, logX, zoom: range }), [store, axis, logX, range]);
  const key = runs.map(({ runId, live }) => `${runId}/${live}`).join(',');
  useEffect(() => store.setRuns(runs.map(({ runId, live }) => ({ runId, live }))), [store, key]);
  useEffect(() => () => store.close(), [store]);
  return store;
}
