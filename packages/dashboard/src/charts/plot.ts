import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Axis } from './axis.js';
import type { ChartAnnotation, ChartMarker, ChartReference, ChartSeries, Zoom } from './chart-series.js';
import { drawAnnotations, drawMarkers, drawReferences, drawSelected, type OverlayStyle } from './draw-overlay.js';
import { drawSeries, smoothedValues, type Frame } from './draw-series.js';
import { shortDuration } from './format.js';
import { indexAt, reachOf } from './reading.js';
import { xScale, yScale } from './plot-range.js';
import type { Scale } from './projection.js';
import { resolveColour } from './theme-colours.js';
import { linearTicks, logTicks, timeTicks, type Tick } from './ticks.js';

/** Everything that decides about what a plot shows. */
export interface PlotView {
  readonly axis: Axis;
  readonly series: readonly ChartSeries[];
  readonly logX: boolean;
  readonly logY: boolean;
  readonly zoom: Zoom | undefined;
  /** from the first to the last x, also of what is not loaded now */
  readonly extent: Zoom | undefined;
  /** a range of values chosen by hand */
  readonly zoomY: Zoom | undefined;
  readonly yLabel: string;
  readonly references: readonly ChartReference[];
  readonly annotations: readonly ChartAnnotation[];
  readonly markers: readonly ChartMarker[];
  readonly selectedX: number | undefined;
  /** whether the value axis begins at 0, unless it is logarithmic */
  readonly fromZero: boolean;
  /** whether values are whole numbers */
  readonly whole: boolean;
}

export interface PlotEvents {
  /** The pointer is over this x, or has left. */
  readonly onCursor: (x: number | undefined) => void;
  /** A range was drawn with the pointer, along x, along y, or both. */
  readonly onSelect: (x: Zoom | undefined, y: Zoom | undefined) => void;
  /** A click that was no drag. */
  readonly onClick: (x: number, y: number) => void;
  readonly onReset: () => void;
}

const textSize = 11;
/** A second click within this time makes a double click of the first one. */
const DOUBLE_CLICK_MS = 250;

/** Owns one uPlot: canvas, axes, pointer and selection are its; what is drawn between the axes is drawn here. */
export class Plot {
  readonly #events: PlotEvents | undefined;
  readonly #host: HTMLElement;
  /** CSS pixels that everything is scaled by, for images of more than the screen's resolution */
  readonly #magnify: number;
  #view: PlotView;
  #x: Scale;
  #y: Scale;
  #plot: uPlot;
  #dots: HTMLElement[] = [];
  #click: ReturnType<typeof setTimeout> | undefined;

  constructor(host: HTMLElement, size: { readonly width: number; readonly height: number }, view: PlotView, events?: PlotEvents, magnify = 1) {
    this.#host = host;
    this.#events = events;
    this.#magnify = magnify;
    this.#view = view;
    this.#x = xScale(view.series, { zoom: view.zoom, extent: view.extent, log: view.logX });
    this.#y = this.#rangeY();
    this.#plot = this.#create(size);
  }

  get view(): PlotView {
    return this.#view;
  }

  get x(): Scale {
    return this.#x;
  }

  get y(): Scale {
    return this.#y;
  }

  /** Width of the rectangle between the axes, in CSS pixels. */
  get plotWidth(): number {
    return this.#plot.over.clientWidth;
  }

  get canvas(): HTMLCanvasElement {
    return this.#plot.ctx.canvas;
  }

  /** Draws another view, at once. */
  draw(view: PlotView): void {
    const isOther = view.logX !== this.#view.logX || view.logY !== this.#view.logY || (view.yLabel === '') !== (this.#view.yLabel === '');
    this.#view = view;
    this.#x = xScale(view.series, { zoom: view.zoom, extent: view.extent, log: view.logX });
    this.#y = this.#rangeY();
    if (isOther) {
      const { width, height } = this.#plot;
      this.#plot.destroy();
      this.#plot = this.#create({ width, height });
      return;
    }
    this.#plot.batch(() => {
      this.#plot.setScale('x', { min: this.#x.min, max: this.#x.max });
      this.#plot.setScale('y', { min: this.#y.min, max: this.#y.max });
      // the width that the value axis needs follows from its labels
      this.#plot.redraw(true, true);
    });
  }

  resize(width: number, height: number): void {
    if (width !== this.#plot.width || height !== this.#plot.height) this.#plot.setSize({ width, height });
  }

  /** Puts the cursor's line at x, with a dot on each line; undefined takes both away. */
  point(x: number | undefined): void {
    const plot = this.#plot;
    const left = x === undefined || x < this.#x.min || x > this.#x.max ? -10 : plot.valToPos(x, 'x');
    if (Number.isNaN(left)) return;
    // the height stays: a selection that is being drawn goes by it
    plot.setCursor({ left, top: Math.max(0, plot.cursor.top ?? 0) }, false);
    const reach = reachOf([this.#x.min, this.#x.max]);
    this.#view.series.forEach((one, index) => {
      const dot = this.#dot(index);
      const nearest = left < 0 || x === undefined ? undefined : indexAt(one, x, reach);
      const value = nearest === undefined ? undefined : (smoothedValues(one) ?? one.points.mean)[nearest];
      const dotLeft = nearest === undefined ? NaN : plot.valToPos(one.points.x[nearest] as number, 'x');
      const dotTop = value === undefined || (this.#y.log && value <= 0) ? NaN : plot.valToPos(value, 'y');
      const inside = dotLeft >= -1 && dotLeft <= this.plotWidth + 1 && dotTop >= -1 && dotTop <= plot.over.clientHeight + 1;
      dot.hidden = !inside;
      if (!inside) return;
      dot.style.transform = `translate(${dotLeft}px, ${dotTop}px)`;
      dot.style.backgroundColor = resolveColour(one.colour);
    });
    for (const dot of this.#dots.slice(this.#view.series.length)) dot.hidden = true;
  }

  /** The x at a place of the page, in CSS pixels from the window's left. */
  xAt(clientX: number): number {
    return this.#plot.posToVal(clientX - this.#plot.over.getBoundingClientRect().left, 'x');
  }

  /** The value at a height of the plot, in CSS pixels from its top. */
  valueAt(top: number): number {
    return this.#plot.posToVal(top, 'y');
  }

  /** Where a point stands between the axes, in CSS pixels. */
  placeOf(x: number, y: number): readonly [left: number, top: number] {
    return [this.#plot.valToPos(x, 'x'), this.#plot.valToPos(y, 'y')];
  }

  destroy(): void {
    clearTimeout(this.#click);
    this.#plot.destroy();
  }

  #rangeY(): Scale {
    const { series, references, logY, zoomY, fromZero } = this.#view;
    if (zoomY && (!logY || zoomY[0] > 0)) return { min: zoomY[0], max: zoomY[1], log: logY };
    return yScale(series, references, this.#x, { log: logY, fromZero });
  }

  #dot(index: number): HTMLElement {
    let dot = this.#dots[index];
    if (!dot) {
      dot = document.createElement('div');
      dot.className = 'chart-dot';
      this.#plot.over.append(dot);
      this.#dots[index] = dot;
    }
    return dot;
  }

  #create(size: { readonly width: number; readonly height: number }): uPlot {
    this.#dots = [];
    const k = this.#magnify;
    const { logX, logY, yLabel } = this.#view;
    const font = `${textSize * k}px ${this.#fontFamily()}`;
    const ticksOf = { x: [] as Tick[], y: [] as Tick[] };
    const axisStyle = {
      stroke: () => resolveColour('var(--text-muted)'),
      font,
      labelFont: font,
      grid: { stroke: () => resolveColour('var(--chart-grid)'), width: k },
      ticks: { show: true, stroke: () => resolveColour('var(--border-strong)'), width: k, size: 4 * k },
      border: { show: true, stroke: () => resolveColour('var(--border-strong)'), width: k },
      gap: 3 * k,
    };
    const labelled = (which: 'x' | 'y') => (_plot: uPlot, splits: number[]): (number | null)[] => splits.map((value, index) => (ticksOf[which][index]?.label === '' ? null : value));
    const events = this.#events;
    const options: uPlot.Options = {
      ...size,
      class: 'chart-plot',
      pxAlign: 1,
      padding: [8 * k, 22 * k, 0, yLabel === '' ? 0 : 2 * k],
      legend: { show: false },
      series: [{}, { show: false }],
      scales: {
        x: { time: false, auto: false, distr: logX ? 3 : 1, range: () => [this.#x.min, this.#x.max] },
        y: { auto: false, distr: logY ? 3 : 1, range: () => [this.#y.min, this.#y.max] },
      },
      axes: [
        {
          ...axisStyle,
          scale: 'x',
          size: 22 * k,
          splits: (_plot, _index, min, max) => {
            ticksOf.x = this.#ticksX(min, max);
            return ticksOf.x.map(({ value }) => value);
          },
          values: () => ticksOf.x.map(({ label }) => (label === '' ? null : label)),
          grid: { ...axisStyle.grid, filter: labelled('x') },
        },
        {
          ...axisStyle,
          scale: 'y',
          size: (_plot, values) => (longestLabel(values) * textSize * 0.6 + 12) * k,
          ...(yLabel === '' ? {} : { label: () => this.#view.yLabel, labelSize: 16 * k, labelGap: 0 }),
          splits: (plot, _index, min, max) => {
            ticksOf.y = this.#ticksY(min, max, plot.bbox.height / uPlot.pxRatio / k || size.height / k);
            return ticksOf.y.map(({ value }) => value);
          },
          values: () => ticksOf.y.map(({ label }) => (label === '' ? null : label)),
          grid: { ...axisStyle.grid, filter: labelled('y') },
        },
      ],
      cursor: {
        show: events !== undefined,
        y: false,
        points: { show: false },
        drag: { x: true, y: true, uni: 24, dist: 5, setScale: false },
        bind: {
          dblclick: () => () => {
            clearTimeout(this.#click);
            events?.onReset();
            return null;
          },
        },
      },
      select: { show: events !== undefined, left: 0, top: 0, width: 0, height: 0 },
      hooks: {
        drawAxes: [(plot) => this.#drawBelow(plot)],
        draw: [(plot) => this.#drawAbove(plot)],
        setCursor: [(plot) => events?.onCursor((plot.cursor.left ?? -10) < 0 ? undefined : plot.posToVal(plot.cursor.left as number, 'x'))],
        setSelect: [(plot) => this.#selected(plot)],
      },
    };
    const plot = new uPlot(options, [[this.#x.min, this.#x.max], [null, null]] as uPlot.AlignedData, this.#host);
    if (events) this.#listenForClicks(plot, events);
    return plot;
  }

  #listenForClicks(plot: uPlot, events: PlotEvents): void {
    let start: readonly [number, number] | undefined;
    plot.over.addEventListener('mousedown', ({ clientX, clientY }) => (start = [clientX, clientY]));
    plot.over.addEventListener('mouseup', ({ clientX, clientY, button }) => {
      if (!start || button !== 0 || Math.hypot(clientX - start[0], clientY - start[1]) > 4) return;
      const { left, top } = plot.over.getBoundingClientRect();
      const x = plot.posToVal(clientX - left, 'x');
      // the first half of a double click picks nothing
      clearTimeout(this.#click);
      this.#click = setTimeout(() => events.onClick(x, clientY - top), DOUBLE_CLICK_MS);
    });
  }

  #selected(plot: uPlot): void {
    const { left, top, width, height } = plot.select;
    if (width <= 0 && height <= 0) return;
    // along one direction the selection fills the plot in the other
    const alongX = width > 0 && width < plot.over.clientWidth - 0.5;
    const alongY = height > 0 && height < plot.over.clientHeight - 0.5;
    const x: Zoom | undefined = alongX ? [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')] : undefined;
    const y: Zoom | undefined = alongY ? [plot.posToVal(top + height, 'y'), plot.posToVal(top, 'y')] : undefined;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (x || y) this.#events?.onSelect(x, y);
  }

  #ticksX(min: number, max: number): Tick[] {
    const width = (this.#plotWidthNow() || 300) / this.#magnify;
    const { axis } = this.#view;
    const time = axis === 'wallTime';
    if (this.#x.log) return logTicks(min, max, Math.max(2, Math.floor(width / 70)), time ? shortDuration : undefined);
    return time ? timeTicks(min, max, Math.max(2, Math.floor(width / 64))) : linearTicks(min, max, Math.max(2, Math.floor(width / 66)), true);
  }

  #ticksY(min: number, max: number, height: number): Tick[] {
    const count = Math.max(3, Math.floor(height / (height < 240 ? 27 : 36)));
    return this.#y.log ? logTicks(min, max, count) : linearTicks(min, max, count, this.#view.whole);
  }

  #plotWidthNow(): number {
    // undefined while uPlot is being made
    const plot = this.#plot as uPlot | undefined;
    return plot?.bbox ? plot.bbox.width / uPlot.pxRatio : this.#host.clientWidth - 60;
  }

  #fontFamily(): string {
    return getComputedStyle(document.body).fontFamily || 'system-ui, sans-serif';
  }

  #frame(plot: uPlot): Frame {
    const { left, top, width, height } = plot.bbox;
    return { context: plot.ctx, left, top, width, height, unit: uPlot.pxRatio * this.#magnify, x: this.#x, y: this.#y };
  }

  #style(): OverlayStyle {
    return {
      family: this.#fontFamily(),
      text: resolveColour('var(--text)'),
      muted: resolveColour('var(--chart-reference)'),
      background: resolveColour('var(--surface)'),
      accent: resolveColour('var(--accent)'),
    };
  }

  #drawBelow(plot: uPlot): void {
    const frame = this.#frame(plot);
    if (this.#view.markers.length > 0) drawMarkers(frame, this.#view.markers, this.#style(), resolveColour);
    drawSeries(frame, this.#view.series, resolveColour);
  }

  #drawAbove(plot: uPlot): void {
    const { annotations, references, selectedX } = this.#view;
    const frame = this.#frame(plot);
    const style = this.#style();
    const labels = drawAnnotations(frame, annotations, style, resolveColour, drawReferences(frame, references, style, resolveColour));
    if (selectedX !== undefined) drawSelected(frame, selectedX, style, labels);
  }
}

/** In characters; uPlot asks before there are labels, too. */
function longestLabel(labels: readonly (string | null)[] | null): number {
  return Math.max(3, ...(labels ?? []).map((label) => label?.length ?? 0));
}
