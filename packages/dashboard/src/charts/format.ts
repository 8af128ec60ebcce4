import { formatCount } from '../view/format.js';

const units = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** A value in four significant digits: 0.03213, 12.35, 1,204, 1.2M, 3.1e-7. */
export function formatValue(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '-' : value > 0 ? '∞' : '-∞';
  if (size === 0) return '0';
  if (size < 1e-4) return value.toExponential(2);
  if (size < 1e4) return formatCount(Number(value.toPrecision(4)));
  if (size < 1e6) return formatCount(Math.round(value));
  return compact(value, 4);
}

/** SI-like: 12k, 1.5M, 0.25, 1e-5. `digits` are the significant ones. */
export function compact(value: number, digits = 6): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1e-3 || size >= 1e15) return exponential(value, digits);
  for (const [unit, name] of units) if (size >= unit) return `${Number((value / unit).toPrecision(digits))}${name}`;
  return String(Number(value.toPrecision(digits)));
}

/** 45 s, 12 min, 1 h 30, 2 d 4 h. */
export function shortDuration(seconds: number): string {
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? '-' : '';
  const short = Number(size.toPrecision(3));
  if (short < 60) return `${sign}${short} s`;
  const whole = Math.round(size);
  if (whole < 3600) return whole % 60 === 0 ? `${sign}${whole / 60} min` : `${sign}${Math.floor(whole / 60)} min ${whole % 60}`;
  const minutes = Math.round(size / 60);
  if (minutes < 24 * 60) return minutes % 60 === 0 ? `${sign}${minutes / 60} h` : `${sign}${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')}`;
  const hours = Math.round(size / 3600);
  return hours % 24 === 0 ? `${sign}${hours / 24} d` : `${sign}${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function exponential(value: number, digits: number): string {
  const [mantissa = '', exponent = ''] = value.toExponential(Math.min(digits - 1, 20)).split('e');
  return `${Number(mantissa)}e${exponent.replace('+', '')}`;
}
