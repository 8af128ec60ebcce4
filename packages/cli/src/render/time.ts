import type { Run } from '@dd2/proto';

type Timestamp = NonNullable<Run['createdAt']>;

export function dateOf({ seconds, nanos }: Timestamp): Date {
  return new Date(Number(seconds) * 1_000 + nanos / 1e6);
}

/** `2026-11-23 20:45:05` on the clock of this machine; empty for none */
export function localTime(at: Timestamp | undefined): string {
  if (at === undefined) return '';
  const date = dateOf(at);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** For JSON: ISO 8601 in UTC. */
export const isoTime = (at: Timestamp | undefined): string | undefined => at && dateOf(at).toISOString();
