import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RunChanges } from './run-changes.js';
import type { RunHistory } from './run-history.js';
import type { RunManager } from './run-manager.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const run = (runId: string): RunHistory => ({ identity: { runId } }) as RunHistory;
const [a, b] = [run('a'), run('b')];

function changes(): { readonly emitter: EventEmitter; readonly told: string[]; readonly all: RunChanges; readonly change: (run: RunHistory) => void } {
  const emitter = new EventEmitter();
  const subscribe: RunManager['subscribe'] = (hear) => {
    emitter.on('moment', hear);
    return () => void emitter.off('moment', hear);
  };
  return { emitter, told: [], all: new RunChanges({ subscribe }), change: (changed) => void emitter.emit('moment', changed) };
}

it('tells a change at once, and those that follow within a second together', async () => {
  const { all, told, change, emitter } = changes();
  const leave = all.subscribe(({ identity }) => told.push(identity.runId));
  change(a);
  change(b);
  expect(told).toEqual(['a', 'b']);
  for (let index = 0; index < 9; index++) {
    await vi.advanceTimersByTimeAsync(100);
    change(a);
  }
  expect(told).toEqual(['a', 'b']);
  await vi.advanceTimersByTimeAsync(100);
  expect(told).toEqual(['a', 'b', 'a']);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual(['a', 'b', 'a']);
  change(a);
  change(a);
  leave();
  expect(emitter.listenerCount('moment')).toBe(0);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(told).toEqual(['a', 'b', 'a', 'a']);
});

it('streams every run and then its changes, of which a slow reader gets the last', async () => {
  const { all, change, emitter } = changes();
  const stop = new AbortController();
  const watching = all.watch([a, b], stop.signal);
  const next = async (): Promise<string | undefined> => {
    const { done, value } = await watching.next();
    return done ? undefined : value.identity.runId;
  };
  expect([await next(), await next()]).toEqual(['a', 'b']);
  const waiting = next();
  change(b);
  expect(await waiting).toBe('b');
  for (let index = 0; index < 5; index++) {
    change(a);
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(await next()).toBe('a');
  const last = next();
  stop.abort();
  expect(await last).toBeUndefined();
  expect(emitter.listenerCount('moment')).toBe(0);
});
