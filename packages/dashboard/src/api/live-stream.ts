/** How a stream of server-sent events stands. */
export type LiveState = 'connecting' | 'connected' | 'reconnecting' | 'ended' | 'failed';

/** What of EventSource is used. */
export interface EventSourceLike {
  readonly readyState: number;
  addEventListener(name: string, listener: (event: { readonly data?: unknown; readonly lastEventId?: string }) => void): void;
  close(): void;
}

/** What surrounds a stream; tests have their own. */
export interface LiveSurroundings {
  readonly open: (url: string) => EventSourceLike;
  readonly setTimer: (run: () => void, delayMs: number) => () => void;
  /** draws from [0, 1): how much of the longest wait is waited */
  readonly random: () => number;
  /** calls with true when the page may be connected (visible, online), with false when it should not; returns what stops that */
  readonly onWanted: (changed: (wanted: boolean) => void) => () => void;
}

export interface LiveStreamOptions {
  /** address for the next connection: it can carry what is known already */
  readonly url: () => string;
  readonly onMessage: (name: string, data: unknown, id: string) => void;
  readonly onState: (state: LiveState) => void;
  /** the server refused the connection or answered with an error; true: try again */
  readonly onRefused: () => Promise<boolean>;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
export const streamedEvents = ['run', 'run-event', 'evaluation', 'progress'] as const;

/** Wait before the n-th attempt in a row, n from 0: doubles up to a bound, a random half of it so that pages do not all come back at once. */
export function reconnectWaitMs(attempt: number, random: number): number {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return longest / 2 + (random * longest) / 2;
}

/**
 * One stream of server-sent events that comes back by itself, with growing waits, until it is closed or the server says `end`.
 * EventSource's own way of reconnecting is not used: it gives up at the first error status, and asks for the address of the first time.
 */
export class LiveStream {
  readonly #options: LiveStreamOptions;
  readonly #surroundings: LiveSurroundings;
  readonly #stopWanting: () => void;
  #source: EventSourceLike | undefined;
  #cancelTimer: (() => void) | undefined;
  #attempt = 0;
  #wanted = true;
  #over = false;

  constructor(options: LiveStreamOptions, surroundings: LiveSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#stopWanting = surroundings.onWanted((wanted) => this.#want(wanted));
    if (this.#wanted) this.#connect();
  }

  close(): void {
    this.#over = true;
    this.#stopWanting();
    this.#drop();
  }

  #want(wanted: boolean): void {
    if (this.#over || wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#drop();
    if (!wanted) return;
    this.#attempt = 0;
    this.#options.onState('reconnecting');
    this.#connect();
  }

  #drop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#source?.close();
    this.#source = undefined;
  }

  #connect(): void {
    const source = this.#surroundings.open(this.#options.url());
    this.#source = source;
    const isCurrent = (): boolean => this.#source === source;
    source.addEventListener('open', () => {
      if (!isCurrent()) return;
      this.#attempt = 0;
      this.#options.onState('connected');
    });
    for (const name of streamedEvents) {
      source.addEventListener(name, ({ data, lastEventId }) => {
        if (isCurrent() && typeof data === 'string') this.#options.onMessage(name, parse(data), lastEventId ?? '');
      });
    }
    source.addEventListener('end', () => {
      if (!isCurrent()) return;
      this.close();
      this.#options.onState('ended');
    });
    // The same name for a lost connection and for an error that the server tells; both end this connection.
    source.addEventListener('error', ({ data }) => {
      if (!isCurrent()) return;
      const refused = source.readyState === 2 || typeof data === 'string';
      this.#drop();
      void this.#again(refused);
    });
  }

  async #again(refused: boolean): Promise<void> {
    this.#options.onState('reconnecting');
    if (refused && !(await this.#options.onRefused().catch(() => true))) {
      if (this.#over) return;
      this.close();
      this.#options.onState('failed');
      return;
    }
    if (this.#over || !this.#wanted || this.#source) return;
    const waitMs = reconnectWaitMs(this.#attempt, this.#surroundings.random());
    this.#attempt += 1;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#surroundings.setTimer(() => {
      if (!this.#over && this.#wanted) this.#connect();
    }, waitMs);
  }
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data) as unknown;
  } catch {
    return undefined; // cut short by a proxy: the next message says it all again
  }
}
