import { describe, expect, it } from 'vitest';
import { LiveStream, reconnectWaitMs, type EventSourceLike, type LiveState } from './live-stream.js';

type Told = { readonly data?: unknown; readonly lastEventId?: string };

class FakeSource implements EventSourceLike {
  readyState = 0;
  isClosed = false;
  readonly #listeners = new Map<string, ((event: Told) => void)[]>();
  constructor(readonly url: string) {}
  addEventListener(name: string, listener: (event: Told) => void): void {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }
  close(): void {
    this.isClosed = true;
    this.readyState = 2;
  }
  tell(name: string, event: Told = {}): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(event);
  }
}

function start({ onRefused = async () => true }: { readonly onRefused?: () => Promise<boolean> } = {}) {
  const sources: FakeSource[] = [];
  const timers: { run: () => void; delayMs: number; isCancelled: boolean }[] = [];
  const states: LiveState[] = [];
  const messages: [string, unknown, string][] = [];
  let want: (wanted: boolean) => void = () => undefined;
  let isListening = true;
  const known = { sequence: 0 };
  const stream = new LiveStream(
    { url: () => `/watch?since=${known.sequence}`, onMessage: (name, data, id) => messages.push([name, data, id]), onState: (state) => states.push(state), onRefused },
    {
      open: (url) => {
        const source = new FakeSource(url);
        sources.push(source);
        return source;
      },
      setTimer: (run, delayMs) => {
        const timer = { run, delayMs, isCancelled: false };
        timers.push(timer);
        return () => {
          timer.isCancelled = true;
        };
      },
      random: () => 1,
      onWanted: (changed) => {
        want = changed;
        return () => {
          isListening = false;
        };
      },
    },
  );
  return {
    stream, sources, timers, states, messages, known,
    want: (wanted: boolean) => want(wanted),
    get isListening() {
      return isListening;
    },
    get source(): FakeSource {
      const source = sources.at(-1);
      if (!source) throw new Error('nothing was opened');
      return source;
    },
    /** the connection breaks; the timer that waits runs */
    async lose(readyState = 0): Promise<void> {
      this.source.readyState = readyState;
      this.source.tell('error');
      await settle();
    },
    elapse(): void {
      const timer = timers.filter(({ isCancelled }) => !isCancelled).at(-1);
      if (!timer) throw new Error('nothing waits');
      timer.isCancelled = true;
      timer.run();
    },
  };
}
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

describe('a live stream', () => {
  it('tells messages of every kind, parsed', () => {
    const test = start();
    test.source.tell('open');
    test.source.tell('run-event', { data: '{"event":{"sequence":"3"}}', lastEventId: '3' });
    test.source.tell('progress', { data: 'cut sho' });
    expect(test.messages).toEqual([['run-event', { event: { sequence: '3' } }, '3'], ['progress', undefined, '']]);
    expect(test.states).toEqual(['connected']);
  });

  it('comes back from where it was, with growing waits that start small again after a success', async () => {
    const test = start();
    test.source.tell('open');
    test.known.sequence = 7;
    for (let attempt = 0; attempt < 7; attempt++) {
      await test.lose();
      test.elapse();
    }
    expect(test.timers.map(({ delayMs }) => delayMs)).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000]);
    expect(test.source.url).toBe('/watch?since=7');
    expect(test.sources.slice(0, -1).every(({ isClosed }) => isClosed)).toBe(true);
    test.source.tell('open');
    await test.lose();
    expect(test.timers.at(-1)?.delayMs).toBe(500);
    expect(test.states).toEqual(['connected', ...Array<LiveState>(7).fill('reconnecting'), 'connected', 'reconnecting']);
  });

  it('asks why it was refused, and gives up when that says so', async () => {
    let asked = 0;
    const test = start({ onRefused: async () => ++asked < 2 });
    await test.lose(2);
    test.elapse();
    await test.lose(2);
    expect(asked).toBe(2);
    expect(test.states.at(-1)).toBe('failed');
    expect(test.isListening).toBe(false);
    expect(test.sources).toHaveLength(2);
    expect(test.timers.filter(({ isCancelled }) => !isCancelled)).toEqual([]);
  });

  it('tries again when it cannot find out why it was refused', async () => {
    const test = start({ onRefused: async () => Promise.reject(new Error('no network')) });
    await test.lose(2);
    test.elapse();
    expect(test.sources).toHaveLength(2);
  });

  it('ends when the server says so, and does not come back', async () => {
    const test = start();
    test.source.tell('open');
    test.source.tell('end');
    expect(test.states).toEqual(['connected', 'ended']);
    expect(test.source.isClosed).toBe(true);
    test.source.tell('error');
    await settle();
    expect(test.sources).toHaveLength(1);
    expect(test.timers).toEqual([]);
  });

  it('gives the connection back while nobody looks, and takes it again at once', async () => {
    const test = start();
    test.source.tell('open');
    test.want(false);
    expect(test.source.isClosed).toBe(true);
    test.source.tell('error');
    await settle();
    expect(test.timers).toEqual([]);
    test.want(true);
    expect(test.sources).toHaveLength(2);
    test.source.tell('open');
    expect(test.states).toEqual(['connected', 'reconnecting', 'connected']);
  });

  it('takes nothing from a connection that it left', async () => {
    const test = start();
    const [first] = test.sources;
    await test.lose();
    test.elapse();
    first?.tell('run', { data: '{"run":{}}' });
    first?.tell('open');
    expect(test.messages).toEqual([]);
    expect(test.states).toEqual(['reconnecting']);
  });

  it('is silent once it is closed, also while it waits for an answer', async () => {
    let answer: (value: boolean) => void = () => undefined;
    const test = start({ onRefused: () => new Promise((resolve) => (answer = resolve)) });
    await test.lose(2);
    test.stream.close();
    answer(false);
    await settle();
    expect(test.states).toEqual(['reconnecting']);
    expect(test.sources).toHaveLength(1);
  });
});

it('spreads the waits of many pages over half of the longest one', () => {
  expect([reconnectWaitMs(0, 0), reconnectWaitMs(0, 1), reconnectWaitMs(50, 0), reconnectWaitMs(2000, 1)]).toEqual([250, 500, 7500, 15000]);
});
