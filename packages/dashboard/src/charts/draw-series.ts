import { dashLengths, type ChartSeries, type MarkShape } from './chart-series.js';
import { pixelColumns, visibleIndices, type PixelColumn } from './pixel-columns.js';
import { projection, type Projection, type Scale } from './projection.js';
import { smoothed } from './smoothing.js';

/** Where to draw: a rectangle of the canvas in device pixels, `unit` of them to a CSS pixel. */
export interface Frame {
  readonly context: CanvasRenderingContext2D;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly unit: number;
  readonly x: Scale;
  readonly y: Scale;
}

/** Turns a colour of a series into one that a canvas knows. */
export type ResolveColour = (colour: string) => string;

interface Layer {
  readonly series: ChartSeries;
  readonly colour: string;
  readonly columns: readonly PixelColumn[];
  readonly curve: readonly PixelColumn[] | undefined;
}

const curves = new WeakMap<object, { readonly factor: number; readonly before: unknown; readonly values: number[] }>();

/** The values of a series' smoothed line, one for each point; undefined when it has none. Computed once for the same points. */
export function smoothedValues({ points, smooth, before }: ChartSeries): readonly number[] | undefined {
  if (!smooth) return undefined;
  const known = curves.get(points);
  if (known?.factor === smooth && known.before === before) return known.values;
  const values = smoothed(points, smooth, before);
  curves.set(points, { factor: smooth, before, values });
  return values;
}

/** Draws all series: areas and intervals first, then the raw values, then the lines, then marks, so that none hides another. */
export function drawSeries(frame: Frame, series: readonly ChartSeries[], resolve: ResolveColour): void {
  const { context, left, top, width, height } = frame;
  const projectX = projection(frame.x, left, left + width);
  const projectY = projection(frame.y, top + height, top);
  const layers = series.map((one): Layer => {
    const range = visibleIndices(one.points.x, frame.x.min, frame.x.max);
    const values = smoothedValues(one);
    return {
      series: one,
      colour: resolve(one.colour),
      columns: pixelColumns(one.points, range, projectX),
      curve: values && pixelColumns(one.points, range, projectX, values),
    };
  });
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.lineJoin = 'bevel';
  context.lineCap = 'butt';
  for (const layer of layers) if (layer.series.stack) drawArea(frame, layer, projectX, projectY);
  for (const layer of layers) drawIntervals(frame, layer, projectX, projectY);
  for (const layer of layers) if (layer.series.line !== false && showsRaw(layer)) drawExtremes(frame, layer, projectY);
  for (const layer of layers) {
    if (layer.series.line === false || layer.series.stack) continue;
    if (layer.curve && showsRaw(layer)) drawLine(frame, layer, layer.columns, projectY, { alpha: 0.35, width: 1 });
    drawLine(frame, layer, layer.curve ?? layer.columns, projectY, { alpha: 1, width: layer.series.width ?? 1.75 });
  }
  context.restore();
  // uPlot keeps in mind how it left the context: whatever is drawn between has to give it back as it was
  context.save();
  for (const layer of layers) drawMarks(frame, layer, projectY);
  context.restore();
}

function showsRaw({ series, curve }: Layer): boolean {
  return !series.stack && (!curve || series.faintRaw !== false);
}

/** What a bucket spans, as a rectangle from its lowest to its highest value: pixel columns, so that a single extreme is as visible as many. */
function drawExtremes({ context, unit }: Frame, { colour, columns, curve }: Layer, projectY: Projection): void {
  context.fillStyle = colour;
  context.globalAlpha = curve ? 0.22 : 0.28;
  context.beginPath();
  for (const { x, end, low, high, count } of columns) {
    if (count < 2) continue;
    const bottom = placeOfLow(projectY, low);
    const top = projectY(high);
    if (Number.isNaN(top)) continue;
    const left = Math.floor(x);
    context.rect(left, top, Math.max(1, Math.floor(end) - left), Math.max(unit, bottom - top));
  }
  context.fill();
  context.globalAlpha = 1;
}

/** Of a bucket that reaches to 0 or below, a logarithmic axis shows what it can: down to the plot's edge, and further. */
function placeOfLow(projectY: Projection, low: number): number {
  const place = projectY(low);
  return Number.isNaN(place) ? 1e6 : place;
}

function drawLine({ context, unit }: Frame, { series, colour }: Layer, columns: readonly PixelColumn[], projectY: Projection, { alpha, width }: { alpha: number; width: number }): void {
  context.strokeStyle = colour;
  context.globalAlpha = alpha;
  context.lineWidth = width * unit;
  context.setLineDash(dashLengths(series.dash).map((length) => length * unit));
  context.beginPath();
  let open = false;
  for (const { x, mean } of columns) {
    const y = projectY(mean);
    if (Number.isNaN(y)) open = false;
    else if (open) context.lineTo(x, y);
    else {
      context.moveTo(x, y);
      open = true;
    }
  }
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawArea({ context }: Frame, { series, colour }: Layer, projectX: Projection, projectY: Projection): void {
  const { x, mean } = series.points;
  const base = series.stack?.base ?? [];
  context.fillStyle = colour;
  context.globalAlpha = 0.75;
  context.beginPath();
  for (let index = 0; index < x.length; index += 1) context.lineTo(projectX(x[index] as number), projectY(mean[index] as number));
  for (let index = x.length - 1; index >= 0; index -= 1) context.lineTo(projectX(x[index] as number), projectY(base[index] ?? 0));
  context.closePath();
  context.fill();
  context.globalAlpha = 1;
}

/** Confidence: a band along a line, or a bar through a single mark. */
function drawIntervals({ context, unit }: Frame, { series, colour }: Layer, projectX: Projection, projectY: Projection): void {
  const { points, line } = series;
  const { x, lower, upper } = points;
  if (!lower || !upper) return;
  if (line !== false) {
    context.fillStyle = colour;
    context.globalAlpha = 0.18;
    for (const [from, to] of runsOf(x.length, (index) => Number.isFinite(lower[index]) && Number.isFinite(upper[index]))) {
      context.beginPath();
      for (let index = from; index < to; index += 1) context.lineTo(projectX(x[index] as number), projectY(upper[index] as number));
      for (let index = to - 1; index >= from; index -= 1) context.lineTo(projectX(x[index] as number), Math.min(1e6, placeOfLow(projectY, lower[index] as number)));
      context.closePath();
      context.fill();
    }
    context.globalAlpha = 1;
  }
  if (line !== false && x.length > 60) return;
  context.strokeStyle = colour;
  context.lineWidth = unit;
  context.globalAlpha = 0.7;
  context.beginPath();
  for (let index = 0; index < x.length; index += 1) {
    if (!Number.isFinite(lower[index]) || !Number.isFinite(upper[index])) continue;
    const place = projectX(x[index] as number);
    context.moveTo(place, placeOfLow(projectY, lower[index] as number));
    context.lineTo(place, projectY(upper[index] as number));
  }
  context.stroke();
  context.globalAlpha = 1;
}

/** Marks every point where that is asked for, and always those that no line reaches. */
function drawMarks(frame: Frame, { series, colour, columns, curve }: Layer, projectY: Projection): void {
  const { context, left, top, width, height, unit } = frame;
  const size = (series.markSize ?? 7) * unit;
  const places = columns.map(({ mean }) => projectY(mean));
  const all = series.line === false || series.marks === true;
  for (const [index, column] of columns.entries()) {
    const y = places[index] as number;
    // a mark on the edge is drawn whole, one beyond it not at all
    if (!(column.x >= left - 1 && column.x <= left + width + 1 && y >= top - 1 && y <= top + height + 1)) continue;
    const isolated = Number.isNaN(places[index - 1] ?? NaN) && Number.isNaN(places[index + 1] ?? NaN);
    if (!all && (!isolated || series.stack)) continue;
    drawMark(context, series.mark ?? 'circle', column.x, y, all ? size : Math.min(size, 5 * unit), colour, curve && series.marks === true ? 0.4 : 1);
  }
}

export function drawMark(context: CanvasRenderingContext2D, shape: MarkShape, x: number, y: number, size: number, colour: string, alpha = 1): void {
  const half = size / 2;
  context.globalAlpha = alpha;
  context.beginPath();
  if (shape === 'circle') context.arc(x, y, half, 0, 2 * Math.PI);
  else if (shape === 'square') context.rect(x - half * 0.9, y - half * 0.9, size * 0.9, size * 0.9);
  else if (shape === 'diamond') polygon(context, [[x, y - half * 1.25], [x + half * 1.25, y], [x, y + half * 1.25], [x - half * 1.25, y]]);
  else if (shape === 'triangle') polygon(context, [[x, y - half * 1.15], [x + half * 1.1, y + half * 0.85], [x - half * 1.1, y + half * 0.85]]);
  else {
    context.moveTo(x - half, y - half);
    context.lineTo(x + half, y + half);
    context.moveTo(x + half, y - half);
    context.lineTo(x - half, y + half);
  }
  if (shape === 'cross') {
    context.strokeStyle = colour;
    context.lineWidth = Math.max(1, size / 4);
    context.stroke();
  } else {
    context.fillStyle = colour;
    context.fill();
  }
  context.globalAlpha = 1;
}

function polygon(context: CanvasRenderingContext2D, corners: readonly (readonly [number, number])[]): void {
  for (const [x, y] of corners) context.lineTo(x, y);
  context.closePath();
}

/** Stretches [from, to) of the indices below `length` that have a property. */
function runsOf(length: number, has: (index: number) => boolean): [number, number][] {
  const stretches: [number, number][] = [];
  for (let index = 0, start = -1; index <= length; index += 1) {
    const inside = index < length && has(index);
    if (inside && start < 0) start = index;
    if (!inside && start >= 0) {
      stretches.push([start, index]);
      start = -1;
    }
  }
  return stretches;
}
