import { formatCount } from './format.js';

/** A range of values, and where in it a value lies. */
export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly logarithmic: boolean;
}

/** From this ratio on, a linear axis would show nothing of the small values. */
const LOG_FROM_RATIO = 8;

/** An axis that holds all values; logarithmic where they span orders of magnitude. Values are finite. */
export function axisOf(values: readonly number[]): Axis {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const logarithmic = least > 0 && most / least >= LOG_FROM_RATIO;
  if (least < most) return { from: least, to: most, logarithmic };
  const margin = least === 0 ? 1 : Math.abs(least) / 10;
  return { from: least - margin, to: least + margin, logarithmic: false };
}

/** Where a value lies: 0 at the start of the axis, 1 at its end. */
export function placeOn({ from, to, logarithmic }: Axis, value: number): number {
  return logarithmic ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
}

/** Round values on the axis, ascending, at most `most` of them; `most` is at least 2. */
export function ticksOf(axis: Axis, most: number): number[] {
  if (axis.logarithmic) {
    for (const { digits, every } of decadeSteps) {
      const ticks = decades(axis, digits, every);
      if (ticks.length >= 2 && ticks.length <= most) return ticks;
    }
  }
  return linearTicks(axis, most).filter((tick) => !axis.logarithmic || tick >= axis.from); // 0 has no place on it
}

/** Ever fewer ticks on a logarithmic axis: which digits, and in every how many decades. */
const decadeSteps: readonly { readonly digits: readonly number[]; readonly every: number }[] = [
  { digits: [1, 2, 5], every: 1 },
  ...[1, 2, 3, 5, 10, 20, 50].map((every) => ({ digits: [1], every })),
];

function decades({ from, to }: Axis, digits: readonly number[], every: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++) {
    if (power % every !== 0) continue;
    // a division of whole numbers is exact where a product with 10 ** -1 is not
    for (const digit of digits) ticks.push(power < 0 ? digit / 10 ** -power : digit * 10 ** power);
  }
  return ticks.filter((tick) => tick >= from && tick <= to);
}

function linearTicks({ from, to }: Axis, most: number): number[] {
  const rough = (to - from) / Math.max(1, most);
  const power = Math.floor(Math.log10(rough));
  for (const factor of [1, 2, 5, 10, 20, 50]) {
    const step = factor * 10 ** power;
    const first = Math.ceil(from / step - 1e-9);
    const count = Math.floor(to / step + 1e-9) - first + 1;
    if (count <= most) return Array.from({ length: Math.max(0, count) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }
  return [];
}

/** 12,000 or 0.05 */
export const tickLabel = (value: number): string => (Number.isInteger(value) ? formatCount(value) : String(value));
