import type { FidPoint } from '../api/client.js';

interface Place {
  readonly x: number;
  readonly y: number;
}

const MARGIN = 3;

/** SVG path of the curve in a box of the given size, FID logarithmic; undefined when there is no point to draw. */
export function sparklinePath(curve: readonly FidPoint[], width: number, height: number): { readonly path: string; readonly best: Place } | undefined {
  const points = curve.map(({ update, fid }) => ({ update, fid: Number(fid) })).filter(({ fid }) => Number.isFinite(fid) && fid > 0);
  const [first] = points;
  if (!first) return undefined;
  const updates = points.map(({ update }) => update);
  const logs = points.map(({ fid }) => Math.log(fid));
  const scale = (value: number, low: number, high: number): number => (high > low ? (value - low) / (high - low) : 0.5);
  const [left, right, low, high] = [Math.min(...updates), Math.max(...updates), Math.min(...logs), Math.max(...logs)];
  const places = points.map(({ update, fid }): Place => ({
    x: round(MARGIN + scale(update, left, right) * (width - 2 * MARGIN)),
    y: round(MARGIN + (1 - scale(Math.log(fid), low, high)) * (height - 2 * MARGIN)),
  }));
  const best = places[logs.indexOf(low)];
  return best && { path: places.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x} ${y}`).join(''), best };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
