import { axisOf, placeOn, tickLabel, ticksOf, type Axis } from './axis-ticks.js';
import { asciiCanvas, brailleCanvas, drawLine, type Canvas } from './canvas.js';
import { plain, type Paint, type Style } from './terminal.js';
import { cut, printable, widthOf } from './text.js';

export interface Curve {
  readonly label: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Reference {
  readonly label: string;
  readonly y: number;
}

export interface PlotOptions {
  readonly curves: readonly Curve[];
  /** horizontal lines */
  readonly references?: readonly Reference[];
  readonly xLabel: string;
  /** columns and rows in all, axes and legend included */
  readonly width: number;
  readonly height: number;
  readonly unicode: boolean;
  readonly paint?: Paint;
}

const styles: readonly Style[] = ['cyan', 'yellow'];
/** legend, x axis, its labels */
const OTHER_ROWS = 3;
const LEAST_ROWS = 3;
const LEAST_COLUMNS = 16;
const unicodeLines = { axis: '│', tick: '┤', corner: '└', across: '─', down: '┬', reference: '┄', curves: ['━━', '╺╺'] } as const;
const asciiLines = { axis: '|', tick: '+', corner: '+', across: '-', down: '+', reference: '-', curves: ['**', 'oo'] } as const;

/**
 * Curves drawn with characters, with both axes labelled and a legend; the first curve is solid, the second dotted. The y axis is
 * logarithmic where the values span orders of magnitude. Points that are not finite are left out.
 * @returns lines, none where there is nothing to draw or no room to draw it in
 */
export function plotCurves({ curves, references = [], xLabel, width, height, unicode, paint = plain }: PlotOptions): string[] {
  const finite = curves.map(({ label, points }) => ({ label, points: points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)) }));
  const points = finite.flatMap((curve) => curve.points);
  const lines = references.filter(({ y }) => Number.isFinite(y));
  if (points.length === 0) return [];
  const xAxis = axisOf(points.map(({ x }) => x));
  const yAxis = axisOf([...points.map(({ y }) => y), ...lines.map(({ y }) => y)]);
  const rows = height - OTHER_ROWS;
  const yTicks = placeTicks(yAxis, rows);
  const labelWidth = Math.max(...[...yTicks.values()].map(widthOf), 1);
  const columns = width - labelWidth - 2;
  if (rows < LEAST_ROWS || columns < LEAST_COLUMNS) return [];

  const canvas = (unicode ? brailleCanvas : asciiCanvas)(columns, rows);
  finite.forEach((curve, i) => draw(canvas, curve, i, xAxis, yAxis));
  const referenceRows = new Set(lines.map(({ y }) => rowOf(yAxis, y, rows)));
  const marks = unicode ? unicodeLines : asciiLines;
  const body = Array.from({ length: rows }, (_, row) => {
    const cells = Array.from({ length: columns }, (_, column): Cell => {
      const dot = canvas.at(column, row);
      if (dot) return { style: styles[dot.series % styles.length], character: dot.character };
      return referenceRows.has(row) && (unicode || column % 2 === 0) ? { style: 'dim', character: marks.reference } : { style: undefined, character: ' ' };
    });
    const tick = yTicks.get(row);
    return `${(tick ?? '').padStart(labelWidth)} ${paint('dim', tick === undefined ? marks.axis : marks.tick)}${paintRow(cells, paint)}`;
  });
  const legend = [
    ...finite.map(({ label }, i) => `${paint(styles[i % styles.length] ?? 'cyan', marks.curves[i % 2] ?? '')} ${printable(label)}`),
    ...lines.map(({ label }) => `${paint('dim', marks.reference.repeat(2))} ${printable(label)}`),
    paint('dim', `over ${xLabel}`),
  ].join('   ');
  const left = ' '.repeat(labelWidth + 1);
  const [axisLine, axisLabels] = xAxisLines(xAxis, columns, marks);
  const title = cut(`${left} ${legend}`, width);
  return [unicode ? title : title.replace('…', '.'), ...body, left + paint('dim', axisLine), left + axisLabels];
}

interface Cell {
  readonly style: Style | undefined;
  readonly character: string;
}

/** Neighbours of one style are painted together: a redrawn plot is written to a terminal many times a second. */
function paintRow(cells: readonly Cell[], paint: Paint): string {
  let row = '';
  let run = '';
  let style: Style | undefined;
  const flush = (): void => {
    row += style === undefined ? run : paint(style, run);
    run = '';
  };
  for (const cell of cells) {
    if (cell.style !== style) flush();
    style = cell.style;
    run += cell.character;
  }
  if (style === undefined) run = run.trimEnd();
  flush();
  return row.trimEnd();
}

/** Dots of the second curve are further apart: it is told from the first one without colours. */
function draw(canvas: Canvas, { points }: Curve, series: number, xAxis: Axis, yAxis: Axis): void {
  const places = points.map(({ x, y }): [number, number] => [Math.round(placeOn(xAxis, x) * (canvas.width - 1)), Math.round((1 - placeOn(yAxis, y)) * (canvas.height - 1))]);
  places.forEach((place, i) => {
    canvas.set(...place, series);
    const next = places[i + 1];
    if (next) drawLine(canvas, place, next, series, series % 2 === 0 ? 1 : 3);
  });
}

const rowOf = (axis: Axis, value: number, rows: number): number => Math.round((1 - placeOn(axis, value)) * (rows - 1));

/** Label of each row that has one. */
function placeTicks(axis: Axis, rows: number): Map<number, string> {
  const ticks = new Map<number, string>();
  for (const tick of ticksOf(axis, Math.max(2, Math.floor(rows / 2) + 1))) {
    const row = rowOf(axis, tick, rows);
    if (!ticks.has(row)) ticks.set(row, tickLabel(tick));
  }
  return ticks;
}

function xAxisLines(axis: Axis, columns: number, marks: typeof unicodeLines | typeof asciiLines): [string, string] {
  const line = Array.from({ length: columns }, () => marks.across as string);
  const text = Array.from({ length: columns + 1 }, () => ' ');
  let free = 0;
  for (const tick of ticksOf(axis, Math.max(2, Math.floor(columns / 10)))) {
    const column = Math.round(placeOn(axis, tick) * (columns - 1));
    const shown = tickLabel(tick);
    const start = Math.max(0, Math.min(column + 1 - Math.floor(widthOf(shown) / 2), text.length - widthOf(shown)));
    line[column] = marks.down;
    if (start < free) continue;
    [...shown].forEach((character, i) => (text[start + i] = character));
    free = start + widthOf(shown) + 1;
  }
  return [marks.corner + line.join(''), text.join('').trimEnd()];
}
