import type { JsonNumber, Run } from '../api/client.js';

/** Numbers and times as people read them; numbers are the same on every machine, whatever its locale. */

/** 12,345 */
export function formatCount(value: number | string): string {
  const [whole = '', fraction] = String(value).split('.');
  const marked = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? marked : `${marked}.${fraction}`;
}

/** 42 s, 3 min 20 s, 2 h 05 min, 3 d 04 h */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-';
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  if (minutes === 0) return `${whole} s`;
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${pad(hours % 24)} h`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

/** 12.34; a dash for what is not measured or not finite */
export function formatFid(fid: JsonNumber | undefined): string {
  const value = Number(fid);
  return fid === undefined || !Number.isFinite(value) ? '-' : value >= 1000 ? formatCount(Math.round(value)) : value.toFixed(2);
}

/** 0.042/s, 3.1/s; with a unit 120 updates/s */
export function formatRate(perSecond: number, unit = ''): string {
  if (!Number.isFinite(perSecond)) return '-';
  return `${perSecond >= 100 ? formatCount(Math.round(perSecond)) : perSecond >= 1 ? perSecond.toFixed(1) : perSecond === 0 ? '0' : perSecond.toPrecision(2)}${unit === '' ? '' : ` ${unit}`}/s`;
}

/** 4.2 MB */
export function formatBytes(bytes: number | string): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** 37% */
export function formatShare(share: number): string {
  return Number.isFinite(share) ? `${Math.round(Math.min(1, Math.max(0, share)) * 100)}%` : '-';
}

/** just now, 12 s ago, 3 min ago, 5 h ago, 2 d ago */
export function formatAgo(at: string | undefined, now: number): string {
  const seconds = (now - Date.parse(at ?? '')) / 1000;
  if (!Number.isFinite(seconds)) return '-';
  if (seconds < 2) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** 2026-05-04 13:05:09 in the reader's time zone */
export function formatTime(at: string | undefined): string {
  const date = new Date(at ?? '');
  if (Number.isNaN(date.getTime())) return '-';
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

type Cycle = Pick<Run, 'phase' | 'network' | 'cyclePosition' | 'cycleLength' | 'cycleGuidance'>;

/** The declared cycle in full: 5 x guidance then 1 x generator. */
export function formatCycle({ cycleLength, cycleGuidance }: Pick<Cycle, 'cycleLength' | 'cycleGuidance'>): string {
  const parts = [cycleGuidance > 0 ? `${cycleGuidance} x guidance` : '', cycleLength > cycleGuidance ? `${cycleLength - cycleGuidance} x generator` : ''];
  return parts.filter((part) => part !== '').join(' then ');
}

/** Where in its cycle the last update stands: `guidance 3/5, then 1 x generator`; outside cycles the network alone. */
export function formatCyclePosition({ network, cyclePosition, cycleLength, cycleGuidance }: Cycle): string {
  if (cycleLength === 0) return network;
  const generator = cycleLength - cycleGuidance;
  if (cyclePosition < cycleGuidance) return `guidance ${cyclePosition + 1}/${cycleGuidance}${generator > 0 ? `, then ${generator} x generator` : ''}`;
  return `${cycleGuidance > 0 ? `after ${cycleGuidance} x guidance, ` : ''}generator ${cyclePosition - cycleGuidance + 1}/${generator}`;
}
