import type { RunEvent } from '../api/client.js';
import type { Tone } from '../ui/badge.js';

/** Kinds of events that people filter by, and the colour of each. Progress is no event to read. */
export const eventKinds = {
  submitted: 'neutral',
  queued: 'neutral',
  started: 'active',
  resumed: 'active',
  phase: 'active',
  evaluation: 'good',
  checkpoint: 'neutral',
  workers: 'neutral',
  waiting: 'warn',
  health: 'warn',
  trouble: 'bad',
  pausing: 'warn',
  paused: 'warn',
  completed: 'good',
  failed: 'bad',
  cancelled: 'neutral',
} as const satisfies Record<string, Tone>;
export type EventKind = keyof typeof eventKinds;

/** More are not kept on the page: the newest are what is read. */
export const MOST_EVENTS = 2_000;

/** Adds events to a list, newest first: each sequence number once, progress left out. */
export function mergeEvents(list: readonly RunEvent[], more: readonly RunEvent[]): readonly RunEvent[] {
  const kept = more.filter(({ kind }) => kind !== 'progress');
  if (kept.length === 0) return list;
  const bySequence = new Map([...list, ...kept].map((event) => [event.sequence, event]));
  return [...bySequence.values()].sort((a, b) => (BigInt(a.sequence) < BigInt(b.sequence) ? 1 : -1)).slice(0, MOST_EVENTS);
}

export function toneOf(kind: string): Tone {
  return Object.hasOwn(eventKinds, kind) ? eventKinds[kind as EventKind] : 'neutral';
}

/** How many of each kind there are, in the order of `eventKinds`; kinds that are not there are left out. */
export function countKinds(events: readonly RunEvent[]): readonly (readonly [kind: string, count: number])[] {
  const counts = new Map<string, number>(Object.keys(eventKinds).map((kind) => [kind, 0]));
  for (const { kind } of events) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 0);
}
