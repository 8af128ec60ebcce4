/** Shapes that tell kinds of points apart without colour. */
export type MarkShape = 'circle' | 'square' | 'diamond' | 'triangle' | 'cross';

/**
 * Points of a series as columns of one length, ascending by x. A point is one value, or a bucket of `count` neighbouring values with
 * their extremes. NaN stands for a value that is not there.
 */
export interface SeriesPoints {
  readonly x: readonly number[];
  readonly mean: readonly number[];
  /** extremes of the bucket; the mean when left out */
  readonly min?: readonly number[];
  readonly max?: readonly number[];
  /** values in the bucket; 1 when left out */
  readonly count?: readonly number[];
  /** confidence interval */
  readonly lower?: readonly number[];
  readonly upper?: readonly number[];
}

export interface ChartSeries {
  /** unique in the chart */
  readonly id: string;
  readonly label: string;
  /** a CSS colour or `var(--name)`, read when it is drawn */
  readonly colour: string;
  readonly points: SeriesPoints;
  /** forgetting factor of the moving average for each value, from 0 (none) to below 1 */
  readonly smooth?: number;
  /** whether the unsmoothed line stays faintly visible under a smoothed one; default true */
  readonly faintRaw?: boolean;
  /** whether every point is marked; default false, and isolated points always are */
  readonly marks?: boolean;
  readonly mark?: MarkShape;
  /** in CSS pixels across, default 7 */
  readonly markSize?: number;
  /** whether points are joined, default true */
  readonly line?: boolean;
  /** second channel beside colour: lengths in CSS pixels, or true for a plain dash */
  readonly dash?: boolean | readonly number[];
  /** in CSS pixels, default 1.75 */
  readonly width?: number;
  /** values before the first point, that a smoothed line starts from; not drawn */
  readonly before?: SeriesPoints;
  /** one layer of a stacked area: `points.mean` is its upper edge, `base` the lower one, `own` what it adds, for the legend */
  readonly stack?: { readonly base: readonly number[]; readonly own: readonly number[] };
}

/** A horizontal line to compare with, labelled at the right. */
export interface ChartReference {
  readonly label: string;
  readonly y: number;
  readonly colour?: string;
  readonly dash?: boolean | readonly number[];
  /** whether the value axis has to reach it; when not, a label at the edge says where it is. Default true */
  readonly inRange?: boolean;
}

/** A ring and a few words at one point. */
export interface ChartAnnotation {
  readonly x: number;
  readonly y: number;
  readonly label: string;
  readonly colour?: string;
}

/** A vertical line that stays, such as the slider's step or the end of a phase. */
export interface ChartMarker {
  readonly x: number;
  readonly label?: string;
  readonly colour?: string;
  readonly dash?: boolean;
}

export type Zoom = readonly [from: number, to: number];

/** The lengths to draw with; empty for a solid line. */
export function dashLengths(dash: boolean | readonly number[] | undefined): readonly number[] {
  if (dash === true) return [6, 4];
  return dash === undefined || dash === false ? [] : dash;
}
