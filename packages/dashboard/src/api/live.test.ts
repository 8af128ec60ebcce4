import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Run, RunEvent } from './client.js';

type Told = { readonly data?: string };

/** The browser's EventSource, told what to say. */
class FakeEventSource {
  static open: FakeEventSource[] = [];
  readyState = 0;
  readonly #listeners = new Map<string, (event: Told) => void>();
  constructor(readonly url: string) {
    FakeEventSource.open.push(this);
  }
  addEventListener(name: string, listener: (event: Told) => void): void {
    this.#listeners.set(name, listener);
  }
  close(): void {
    this.readyState = 2;
    FakeEventSource.open = FakeEventSource.open.filter((one) => one !== this);
  }
  tell(name: string, message?: unknown): void {
    this.#listeners.get(name)?.(message === undefined ? {} : { data: JSON.stringify(message) });
  }
}
const sourceOf = (part: string): FakeEventSource => {
  const found = FakeEventSource.open.filter(({ url }) => url.includes(part));
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} connections to ${part}`);
  return found[0];
};
const run = (runId: string, state: Run['state']): { run: Pick<Run, 'runId' | 'state'> } => ({ run: { runId, state } });

let live: typeof import('./live.js');
beforeEach(async () => {
  FakeEventSource.open = [];
  vi.resetModules();
  vi.stubGlobal('EventSource', FakeEventSource);
  const target = { addEventListener: () => undefined, removeEventListener: () => undefined };
  vi.stubGlobal('document', { ...target, visibilityState: 'visible' });
  vi.stubGlobal('window', target);
  live = await import('./live.js');
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe('watchRuns', () => {
  it('shares one connection, tells latecomers what is known, and closes with the last of them', () => {
    const first: string[] = [];
    const second: string[] = [];
    const stopFirst = live.watchRuns(({ runId }) => first.push(runId));
    sourceOf('/watch').tell('open');
    expect(live.connection.value).toBe('connected');
    sourceOf('/watch').tell('run', run('a', 'RUN_STATE_RUNNING'));
    const stopSecond = live.watchRuns(({ runId }) => second.push(runId));
    sourceOf('/watch').tell('run', run('b', 'RUN_STATE_QUEUED'));
    sourceOf('/watch').tell('run', {});
    expect([first, second]).toEqual([['a', 'b'], ['a', 'b']]);
    stopFirst();
    sourceOf('/watch').tell('run', run('c', 'RUN_STATE_QUEUED'));
    expect([first, second]).toEqual([['a', 'b'], ['a', 'b', 'c']]);
    stopSecond();
    expect(FakeEventSource.open).toEqual([]);
  });
});

describe('watchRun', () => {
  it('asks for what follows the event that is known, ends with the run, and comes back when it is resumed', () => {
    const sequences: string[] = [];
    const states: string[] = [];
    const stopRuns = live.watchRuns(() => undefined);
    sourceOf('/watch').tell('run', run('a', 'RUN_STATE_RUNNING'));
    const stop = live.watchRun('a', { since: '5', onEvent: ({ sequence }) => sequences.push(sequence), onState: (state) => states.push(state) });
    expect(sourceOf('/runs/a/watch').url).toBe('/api/v1/runs/a/watch?since=5');
    const event = (sequence: string): { event: Pick<RunEvent, 'sequence'> } => ({ event: { sequence } });
    sourceOf('/runs/a/watch').tell('run-event', event('18446744073709551614'));
    sourceOf('/runs/a/watch').tell('run-event', event('6')); // progress repeats older numbers
    sourceOf('/runs/a/watch').tell('end');
    expect(FakeEventSource.open).toHaveLength(1);
    // What is known from before the end says nothing, other runs neither.
    sourceOf('/api/v1/watch').tell('run', run('b', 'RUN_STATE_RUNNING'));
    sourceOf('/api/v1/watch').tell('run', run('a', 'RUN_STATE_PAUSED'));
    expect(FakeEventSource.open).toHaveLength(1);
    sourceOf('/api/v1/watch').tell('run', run('a', 'RUN_STATE_QUEUED'));
    expect(sourceOf('/runs/a/watch').url).toBe('/api/v1/runs/a/watch?since=18446744073709551614');
    expect(sequences).toEqual(['18446744073709551614', '6']);
    expect(states).toEqual(['ended']);
    stop();
    stopRuns();
    expect(FakeEventSource.open).toEqual([]);
  });

  it('leaves nothing open when it is stopped while the run rests', () => {
    const stop = live.watchRun('a', { onEvent: () => undefined });
    sourceOf('/runs/a/watch').tell('end');
    expect(FakeEventSource.open).toHaveLength(1);
    stop();
    expect(FakeEventSource.open).toEqual([]);
  });
});
