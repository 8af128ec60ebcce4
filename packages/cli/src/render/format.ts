/** Numbers as people read them; the same on every machine, whatever its locale. */

/** 12,345 */
export function formatCount(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** 42 s, 3 min 20 s, 2 h 05 min */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  if (minutes === 0) return `${whole} s`;
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** Four significant digits without an exponent for the sizes that losses have. */
export function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return String(loss);
  return Math.abs(loss) >= 1e-3 || loss === 0 ? loss.toPrecision(4) : loss.toExponential(2);
}

/** 8.54 (5,000): an FID means nothing without its sample count. */
export function formatFid(fid: number, samples: number): string {
  return `${fid.toFixed(2)} (${formatCount(samples)})`;
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** 512 bytes, 11.2 MB; units of 1,000 */
export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1_000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? formatCount(bytes) : (bytes / 1_000 ** power).toFixed(1)} ${UNITS[power]}`;
}
