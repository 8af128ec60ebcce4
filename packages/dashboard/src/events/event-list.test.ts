import { expect, it } from 'vitest';
import type { RunEvent } from '../api/client.js';
import { countKinds, mergeEvents, MOST_EVENTS, toneOf } from './event-list.js';

const event = (sequence: number | string, kind = 'phase'): RunEvent => ({
  sequence: String(sequence), kind, at: '', state: 'RUN_STATE_RUNNING', phase: '', update: 0, totalUpdates: 0, cyclePosition: 0, cycleLength: 0, cycleGuidance: 0,
  generatorUpdates: 0, fidSamples: 0, message: '', metrics: {}, workers: 0, network: '',
});

it('keeps each event once, newest first, and leaves progress out', () => {
  const list = mergeEvents([], [event(9), event(10), event(2)]);
  expect(list.map(({ sequence }) => sequence)).toEqual(['10', '9', '2']);
  const more = mergeEvents(list, [event(10, 'failed'), event('18446744073709551615'), event(3, 'progress')]);
  expect(more.map(({ sequence, kind }) => `${sequence} ${kind}`)).toEqual(['18446744073709551615 phase', '10 failed', '9 phase', '2 phase']);
});

it('is the same list when nothing is new', () => {
  const list = mergeEvents([], [event(1)]);
  expect(mergeEvents(list, [event(1, 'progress')])).toBe(list);
});

it('keeps a bounded number, the newest', () => {
  const list = mergeEvents([], Array.from({ length: MOST_EVENTS + 5 }, (_, index) => event(index + 1)));
  expect([list.length, list[0]?.sequence, list.at(-1)?.sequence]).toEqual([MOST_EVENTS, String(MOST_EVENTS + 5), '6']);
});

it('counts the kinds that are there, also those it does not know', () => {
  expect(countKinds([event(1, 'phase'), event(2, 'submitted'), event(3, 'phase'), event(4, 'new kind')])).toEqual([['submitted', 1], ['phase', 2], ['new kind', 1]]);
  expect([toneOf('failed'), toneOf('toString')]).toEqual(['bad', 'neutral']);
});
