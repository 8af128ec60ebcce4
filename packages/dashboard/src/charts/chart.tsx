import type { ComponentChildren, VNode } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { download, fileNameOf } from '../ui/download.js';
import { Icon } from '../ui/icon.js';
import { formatCount } from '../view/format.js';
import './charts.css';
import { axisLabels, type Axis } from './axis.js';
import { chartCsv } from './chart-csv.js';
import { ChartCursor } from './chart-cursor.js';
import { ChartLegend } from './chart-legend.js';
import { ChartMenu } from './chart-menu.js';
import type { ChartAnnotation, ChartMarker, ChartReference, ChartSeries, Zoom } from './chart-series.js';
import { ChartStage } from './chart-stage.js';
import { ChartTable } from './chart-table.js';
import { cursor } from './cursor.js';
import type { PlotView } from './plot.js';
import { countLeftOut, extentOf, hasPositive } from './plot-range.js';
import { indexAt, reachOf } from './reading.js';
import { summaryOf } from './summary.js';
import { zoomBy } from './zoom-range.js';

export type { ChartAnnotation, ChartMarker, ChartReference, ChartSeries, MarkShape, SeriesPoints, Zoom } from './chart-series.js';

export interface ChartProps {
  readonly title: string;
  /** what the figure is, for those who do not know; shown when the title is pointed at */
  readonly hint?: string;
  readonly heading?: 2 | 3 | 4;
  readonly series: readonly ChartSeries[];
  readonly axis: Axis;
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** the part of the axis that is shown; undefined for all of it */
  readonly zoom?: Zoom | undefined;
  readonly onZoom?: (zoom: Zoom | undefined) => void;
  /** the whole of the axis, beyond what the series have loaded */
  readonly xDomain?: Zoom | undefined;
  /** of the plot with its axes, in CSS pixels */
  readonly height?: number;
  /** with its unit */
  readonly yLabel?: string;
  /** whether the value axis begins at 0, unless it is logarithmic */
  readonly fromZero?: boolean;
  /** whether values are whole numbers */
  readonly whole?: boolean;
  /** text of a value; the default has four digits */
  readonly format?: (value: number) => string;
  readonly references?: readonly ChartReference[];
  readonly annotations?: readonly ChartAnnotation[];
  readonly markers?: readonly ChartMarker[];
  /** a line that stays: the slider's step */
  readonly selectedX?: number | undefined;
  /** a click, or Enter: the nearest point's x, and its series */
  readonly onPick?: (x: number, seriesId: string | undefined) => void;
  /** shown when no series has a point */
  readonly empty?: ComponentChildren;
  /** newer data is on its way */
  readonly busy?: boolean;
  /** instead of what is drawn */
  readonly csv?: () => string;
  /** of downloads, without extension; follows from the title */
  readonly fileName?: string;
  readonly onScreen?: (isOnScreen: boolean) => void;
  /** of the chart, in CSS pixels, when it changes */
  readonly onWidth?: (pixels: number) => void;
}

const none: readonly never[] = [];

/** Lines over an axis that all charts of a view share: cursor, zoom, and the way to the figures behind them. */
export function Chart(props: ChartProps): VNode {
  const { title, hint, heading = 3, series, axis, logX = false, zoom, onZoom, xDomain, height = 200, yLabel = '', format, empty = 'No values yet', busy = false } = props;
  const { references = none, annotations = none, markers = none, selectedX, fromZero = false, whole = false } = props;
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set<string>());
  const [zoomY, setZoomY] = useState<Zoom>();
  const [hasTable, setTable] = useState(false);
  const host = useRef<HTMLDivElement>(null);
  const stage = useRef<ChartStage | undefined>(undefined);
  const shown = useMemo(() => series.filter(({ id }) => !hidden.has(id)), [series, hidden]);
  // Where nothing is above 0 a logarithmic axis would show nothing at all: it stays linear, and the chart says so.
  const isStayingLinear = useMemo(() => props.logY === true && !hasPositive(shown), [props.logY, shown]);
  const logY = props.logY === true && !isStayingLinear;
  const axisLabelled = height >= 260; // in smaller ones the unit stands beside the title
  const extent = useExtent(axis, series, zoom, xDomain);

  const view = useMemo(
    (): PlotView => ({ axis, series: shown, logX, logY, zoom, extent, zoomY, yLabel: axisLabelled ? yLabel : '', references, annotations, markers, selectedX, fromZero, whole }),
    [axis, shown, logX, logY, zoom, extent, zoomY, yLabel, axisLabelled, references, annotations, markers, selectedX, fromZero, whole],
  );

  // What the handlers of one stage see is always the newest.
  const now = useRef({ props, view });
  now.current = { props, view };
  const reset = useCallback((): void => {
    setZoomY(undefined);
    now.current.props.onZoom?.(undefined);
  }, []);
  const zoomAt = useCallback((factor: number, centre: number | undefined): void => {
    const scale = stage.current?.plot?.x;
    if (scale) now.current.props.onZoom?.(zoomBy(scale, factor, centre, now.current.view.extent));
  }, []);
  useEffect(() => {
    if (!host.current) return;
    const made = new ChartStage(host.current, {
      onCursor: (x) => (cursor.value = x === undefined ? undefined : { axis: now.current.view.axis, x }),
      onSelect: (x, y) => {
        if (y) setZoomY(y);
        if (x) now.current.props.onZoom?.(x);
      },
      onClick: (x, top) => pick(now.current, made, x, top),
      onReset: reset,
      onPinch: zoomAt,
      onScreen: (isOnScreen) => now.current.props.onScreen?.(isOnScreen),
      onWidth: (pixels) => now.current.props.onWidth?.(pixels),
    });
    stage.current = made;
    made.show(now.current.view);
    return () => {
      made.destroy();
      stage.current = undefined;
    };
  }, [reset, zoomAt]);
  useEffect(() => stage.current?.show(view), [view]);
  // a range of values chosen by hand means little on another scale
  useEffect(() => setZoomY(undefined), [axis, logY]);

  const isActive = useCallback(() => stage.current?.isOnScreen ?? false, []);
  const toggle = (id: string): void => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    setHidden(next);
  };
  const hasPoints = series.some(({ points }) => points.x.length > 0);
  const leftOut = useMemo(() => countLeftOut(shown, { logX, logY }), [shown, logX, logY]);
  const reach = reachOf(zoom ?? extent);
  const fileName = props.fileName ?? title;
  const Heading = `h${heading}` as const;
  return (
    <figure class="chart" aria-busy={busy}>
      <div class="chart-head">
        <Heading class="chart-title" title={hint}>
          {title}
          {yLabel !== '' && !axisLabelled && <span class="chart-unit"> {yLabel}</span>}
        </Heading>
        {(zoom ?? zoomY) && (
          <button type="button" class="chart-reset" onClick={reset} aria-label={`Reset zoom of ${title}`} title="Reset zoom (Escape, or double click)">
            <Icon name="reset" />
          </button>
        )}
        <ChartMenu
          title={title}
          items={[
            ...(onZoom ? [{ label: 'Zoom in', onClick: () => zoomAt(0.5, centreOf(axis)) }, { label: 'Zoom out', onClick: () => zoomAt(2, centreOf(axis)), disabled: !zoom }] : []),
            { label: hasTable ? 'Hide table' : 'Show as table', onClick: () => setTable(!hasTable), disabled: !hasPoints },
            { label: 'Download CSV', onClick: () => download(fileNameOf(fileName, 'csv'), new Blob([props.csv?.() ?? chartCsv(axis, shown)], { type: 'text/csv;charset=utf-8' })), disabled: !hasPoints },
            { label: 'Download PNG', onClick: () => void downloadImage(yLabel !== '' && !axisLabelled ? `${title} (${yLabel})` : title, fileName, view, host.current), disabled: !hasPoints },
          ]}
        />
      </div>
      {hint !== undefined && <p class="visually-hidden">{hint}</p>}
      <div class="chart-body" style={{ height: `${height}px` }}>
        <div class={hasPoints ? 'chart-host' : 'chart-host chart-host-empty'} ref={host} role="img" aria-label={summaryOf(title, axis, shown, format)} />
        <ChartCursor title={title} axis={axis} series={shown} format={format} stage={stage} extent={extent} reach={reach} onZoom={onZoom} onReset={reset} onPick={(x) => pick(now.current, stage.current, x)} />
        {!hasPoints && <div class="chart-empty">{empty}</div>}
      </div>
      <p class="chart-axis" aria-hidden="true">
        {axisLabels[axis]}
        {logX && ', logarithmic'}
      </p>
      {hasPoints && <ChartLegend axis={axis} series={series} hidden={hidden} onToggle={toggle} format={format} reach={reach} isActive={isActive} />}
      {isStayingLinear && hasPoints && <p class="chart-note">No value is above 0: the value axis stays linear.</p>}
      {leftOut > 0 && <p class="chart-note">At least {formatCount(leftOut)} values of 0 or below have no place on a logarithmic axis and are left out.</p>}
      {hasTable && <ChartTable title={title} axis={axis} series={shown} format={format} />}
    </figure>
  );
}

/** The whole of the axis: as given, or the widest that was seen while nothing was zoomed. */
function useExtent(axis: Axis, series: readonly ChartSeries[], zoom: Zoom | undefined, xDomain: Zoom | undefined): Zoom | undefined {
  const seen = useRef<{ axis: Axis; extent: Zoom | undefined }>({ axis, extent: undefined });
  const loaded = useMemo(() => extentOf(series), [series]);
  if (seen.current.axis !== axis) seen.current = { axis, extent: undefined };
  const { extent } = seen.current;
  if (loaded && (!zoom || !extent)) seen.current.extent = loaded;
  else if (loaded && extent && loaded[1] > extent[1]) seen.current.extent = [extent[0], loaded[1]];
  const [from, to] = xDomain ?? seen.current.extent ?? [];
  return useMemo(() => (from !== undefined && to !== undefined ? [from, to] : undefined), [from, to]);
}

function centreOf(axis: Axis): number | undefined {
  const at = cursor.peek();
  return at?.axis === axis ? at.x : undefined;
}

/**
 * Tells which point was meant: of those that the cursor reads, the nearest in the plot. Where there is none, the place itself.
 */
function pick({ props, view }: { readonly props: ChartProps; readonly view: PlotView }, stage: ChartStage | undefined, x: number, top?: number): void {
  const plot = stage?.plot;
  if (!props.onPick || !plot) return;
  const reach = reachOf([plot.x.min, plot.x.max]);
  let best: { readonly x: number; readonly id: string; readonly distance: number } | undefined;
  for (const one of view.series) {
    const { id, points } = one;
    const index = indexAt(one, x, reach);
    if (index === undefined) continue;
    const place = points.x[index] as number;
    const [left, height] = plot.placeOf(place, points.mean[index] as number);
    const [wanted] = plot.placeOf(x, 1);
    const distance = Math.hypot(left - wanted, top === undefined || Number.isNaN(height) ? 0 : height - top);
    if (!best || distance < best.distance) best = { x: place, id, distance };
  }
  props.onPick(best?.x ?? x, best?.id);
}

async function downloadImage(title: string, fileName: string, view: PlotView, host: HTMLElement | null): Promise<void> {
  if (!host) return;
  const { chartImage } = await import('./chart-image.js');
  download(fileNameOf(fileName, 'png'), await chartImage(title, view, { width: host.clientWidth, height: host.clientHeight }));
}
