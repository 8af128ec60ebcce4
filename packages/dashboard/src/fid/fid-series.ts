import type { ChartAnnotation, ChartSeries, MarkShape } from '../charts/chart-series.js';
import type { Axis } from '../charts/axis.js';
import { formatCount, formatFid } from '../view/format.js';
import { placeOn, type KnownPlaces } from './axis-places.js';
import { bestOf, confidenceOf, type FidPoint } from './fid-point.js';
import { fidLines, fidMarks, isMultiStep } from './fid-lines.js';
import { groupsOf } from './groups.js';

/** A run as it is drawn. */
export interface DrawnRun {
  readonly runId: string;
  readonly label: string;
  readonly colour: string;
  readonly dash: readonly number[];
  readonly points: readonly FidPoint[];
  readonly places: KnownPlaces;
}

export interface FidDrawing {
  readonly series: readonly ChartSeries[];
  /** the best point of each run's curve, in words for the first run */
  readonly annotations: readonly ChartAnnotation[];
  /** measurements whose place on the axis is not known yet */
  readonly unplaced: number;
}

/** Marks of curves by number of samples, the commonest first. */
const lineMarks: readonly MarkShape[] = ['circle', 'square', 'triangle', 'cross'];
const LINE_MARK_SIZE = 6;
const SINGLE_MARK_SIZE = 10;

/** Curves with their confidence, single marks, and the best point of each run. */
export function fidDrawing(runs: readonly DrawnRun[], axis: Axis): FidDrawing {
  const series: ChartSeries[] = [];
  const annotations: ChartAnnotation[] = [];
  let unplaced = 0;
  const shapes = lineShapes(runs);
  for (const run of runs) {
    const lines = fidLines(run.points);
    for (const [index, line] of lines.entries()) {
      const placed = place(line.points, run, axis);
      unplaced += line.points.length - placed.length;
      const label = index === 0 ? run.label : `${run.label}, ${formatCount(line.samples)} samples`;
      series.push({ id: line.id, label, colour: run.colour, dash: run.dash, marks: true, mark: shapes.get(line.samples) ?? 'circle', markSize: LINE_MARK_SIZE, points: columns(placed) });
      const best = index === 0 ? bestOf(placed) : undefined;
      // The words of several runs, which often end near each other, would cover each other; the legend has all figures.
      if (best) annotations.push({ x: best.x, y: best.fid, label: run === runs[0] ? `best ${formatFid(best.fid)}` : '', colour: run.colour });
    }
    for (const [id, marks] of groupsOf(fidMarks(run.points), ({ kind, sampler, samples }) => `${run.runId}/${kind}/${sampler}/${samples}`)) {
      const placed = place(marks, run, axis);
      unplaced += marks.length - placed.length;
      const [first] = marks;
      if (!first) continue;
      series.push({ id, label: `${run.label} ${markName(first)}`, colour: run.colour, line: false, marks: true, mark: markShape(first), markSize: SINGLE_MARK_SIZE, points: columns(placed) });
    }
  }
  return { series, annotations, unplaced };
}

/** "final, 5,000 samples" */
export function markName({ kind, sampler, samples }: Pick<FidPoint, 'kind' | 'sampler' | 'samples'>): string {
  return `${kind === 'final' ? 'final' : sampler}, ${formatCount(samples)} samples`;
}

/** The final measurement, several steps, and what people asked for look different. */
export function markShape({ kind, sampler }: Pick<FidPoint, 'kind' | 'sampler'>): MarkShape {
  if (kind === 'final') return 'diamond';
  return isMultiStep(sampler) ? 'triangle' : 'cross';
}

/** The same number of samples has the same mark in every run. */
function lineShapes(runs: readonly DrawnRun[]): ReadonlyMap<number, MarkShape> {
  const counts = new Map<number, number>();
  for (const line of runs.flatMap(({ points }) => fidLines(points))) counts.set(line.samples, (counts.get(line.samples) ?? 0) + line.points.length);
  return new Map([...counts].sort((a, b) => b[1] - a[1]).map(([samples], index) => [samples, lineMarks[index % lineMarks.length] ?? 'circle']));
}

type PlacedPoint = FidPoint & { readonly x: number };

function place(points: readonly FidPoint[], { places }: DrawnRun, axis: Axis): PlacedPoint[] {
  return points
    .flatMap((point) => {
      const x = placeOn(axis, point, places);
      return x === undefined ? [] : { ...point, x };
    })
    .sort((a, b) => a.x - b.x || a.update - b.update);
}

function columns(points: readonly PlacedPoint[]): ChartSeries['points'] {
  const confidences = points.map(confidenceOf);
  return {
    x: points.map(({ x }) => x),
    mean: points.map(({ fid }) => fid),
    ...(confidences.some((confidence) => confidence !== undefined) ? { lower: confidences.map((confidence) => confidence?.lower ?? NaN), upper: confidences.map((confidence) => confidence?.upper ?? NaN) } : {}),
  };
}
