import { compact, shortDuration } from './format.js';

/** A place on an axis: a grid line, and text where it is labelled. */
export interface Tick {
  readonly value: number;
  /** empty for a minor one */
  readonly label: string;
}

const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** At most about `count` ticks at 1, 2, 2.5 or 5 times a power of ten. `integer` leaves out fractions. */
export function linearTicks(min: number, max: number, count: number, integer = false): Tick[] {
  if (!(max > min)) return [];
  const step = niceStep((max - min) / Math.max(1, count), integer);
  const digits = decimalsOf(step);
  return multiples(step, min, max).map((value) => ({ value, label: tickLabel(value, digits) }));
}

/** As `linearTicks`, for seconds: at whole minutes, hours, days. */
export function timeTicks(min: number, max: number, count: number): Tick[] {
  if (!(max > min)) return [];
  const wanted = (max - min) / Math.max(1, count);
  const step = seconds.find((size) => size >= wanted) ?? niceStep(wanted / 86400, true) * 86400;
  const chosen = wanted < 0.5 ? niceStep(wanted, false) : step;
  return multiples(chosen, min, max).map((value) => ({ value, label: shortDuration(value) }));
}

/**
 * Ticks of a logarithmic axis from `min` > 0 on: decades are labelled, with 2 to 9 times them between where there is room. A range
 * within a decade or so is labelled at 1, 2 and 5 times a power of ten (where there is room also at 3 and 7), and below that linearly.
 */
export function logTicks(min: number, max: number, count: number, format: (value: number) => string = (value) => compact(value)): Tick[] {
  const low = Math.log10(min);
  const high = Math.log10(max);
  const first = Math.ceil(low - 1e-9);
  const last = Math.floor(high + 1e-9);
  const decades = last - first + 1;
  // of evenly spaced values the largest stand nearest to each other: they, too, need room
  const room = (count * (max - min)) / (max * Math.log(max / min));
  if (decades < 1 || high - low < 0.7) return linearTicks(min, max, room).map(({ value }) => ({ value, label: format(value) })).filter(({ value }) => value > 0);
  const every = Math.max(1, Math.ceil(decades / Math.max(1, count)));
  const factors = decades === 1 ? (count >= 8 ? [2, 3, 5, 7] : [2, 5]) : decades === 2 && count >= 5 ? [3] : [];
  const ticks: Tick[] = [];
  for (let exponent = first - 1; exponent <= last; exponent += 1) {
    for (let factor = 1; factor <= 9; factor += 1) {
      const value = factor * 10 ** exponent;
      if (value < min * (1 - 1e-9) || value > max * (1 + 1e-9)) continue;
      if (factor === 1) ticks.push({ value, label: (exponent - first) % every === 0 ? format(value) : '' });
      else if (every === 1 && decades <= 8) ticks.push({ value, label: factors.includes(factor) ? format(value) : '' });
    }
  }
  return ticks;
}

/** The smallest of 1, 2, 2.5 (of whole numbers: from 25 on), 5 times a power of ten that is not below `size`. */
export function niceStep(size: number, integer: boolean): number {
  const power = 10 ** Math.floor(Math.log10(size));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).filter((candidate) => !integer || Number.isInteger(candidate)).find((candidate) => candidate >= size * (1 - 1e-9)) ?? 10 * power;
  return integer ? Math.max(1, step) : step;
}

function multiples(step: number, min: number, max: number): number[] {
  if (!(step > 0) || !Number.isFinite(step) || !(max >= min)) return [];
  const first = Math.ceil(min / step - 1e-9);
  const last = Math.floor(max / step + 1e-9);
  // a product, so that errors do not add up; rounded, so that 3 x 0.1 is 0.3
  return Array.from({ length: Math.min(200, last - first + 1) }, (_, index) => Number(((first + index) * step).toPrecision(12)) + 0);
}

/** Digits behind the point that a step needs. */
function decimalsOf(step: number): number {
  const leading = Math.max(0, -Math.floor(Math.log10(step)));
  return Math.abs(step * 10 ** leading - Math.round(step * 10 ** leading)) < 1e-6 ? leading : leading + 1;
}

function tickLabel(value: number, digits: number): string {
  if (value === 0) return '0';
  if (digits === 0 || digits > 4) return compact(value);
  return Math.abs(value) >= 1000 ? compact(value) : value.toFixed(digits);
}
