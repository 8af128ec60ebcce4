/** The range of one axis, and whether it is logarithmic. `min` is below `max`, and above 0 when logarithmic. */
export interface Scale {
  readonly min: number;
  readonly max: number;
  readonly log: boolean;
}

/** From a value to pixels. A logarithmic axis has no place for 0 and below: NaN. */
export type Projection = (value: number) => number;

/** `scale.min` falls on `start`, `scale.max` on `end`, in pixels. */
export function projection({ min, max, log }: Scale, start: number, end: number): Projection {
  if (!log) {
    const factor = (end - start) / (max - min);
    return (value) => start + (value - min) * factor;
  }
  const low = Math.log10(min);
  const factor = (end - start) / (Math.log10(max) - low);
  return (value) => (value > 0 ? start + (Math.log10(value) - low) * factor : NaN);
}

/** The range that leaves `share` of it free above and below the values. Values that are all the same get a range around them. */
export function padded(min: number, max: number, log: boolean, share = 0.06): Scale {
  if (log) {
    const [low, high] = [Math.log10(min), Math.log10(max)];
    const pad = high > low ? (high - low) * share : 0.2;
    return { min: 10 ** (low - pad), max: 10 ** (high + pad), log };
  }
  const pad = max > min ? (max - min) * share : Math.abs(max) * 0.1 || 1;
  return { min: min >= 0 && min - pad < 0 ? Math.min(0, min) : min - pad, max: max + pad, log };
}
