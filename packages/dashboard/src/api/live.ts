import { signal, type ReadonlySignal } from '@preact/signals';
import { apiUrl, getRun, isLoggedIn, type Run, type RunEvent } from './client.js';
import { ApiError } from './api-error.js';
import { LiveStream, type LiveState, type LiveSurroundings } from './live-stream.js';

export type { LiveState } from './live-stream.js';

/** A page that nobody sees gives its connections back after this time: a browser has only six for all its pages of a server. */
const HIDDEN_MS = 60_000;

const browser: LiveSurroundings = {
  open: (url) => new EventSource(url),
  setTimer: (run, delayMs) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  random: Math.random,
  onWanted: (changed) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      clearTimeout(timer);
      if (document.visibilityState === 'visible') changed(true);
      else timer = setTimeout(() => changed(false), HIDDEN_MS);
    };
    const back = (): void => {
      // What the network was before may be gone without a word.
      changed(false);
      changed(true);
    };
    document.addEventListener('visibilitychange', look);
    window.addEventListener('online', back);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
      window.removeEventListener('online', back);
    };
  },
};

/** EventSource does not tell why it was refused; asking for the session does, and leads to the login. */
async function mayTryAgain(): Promise<boolean> {
  return isLoggedIn();
}

const runsState = signal<LiveState>('connecting');
/** How the stream of all runs stands: what the header shows. */
export const connection: ReadonlySignal<LiveState> = runsState;

const runListeners = new Set<(run: Run) => void>();
const knownRuns = new Map<string, Run>();
let runsStream: LiveStream | undefined;

function tellRun(run: Run): void {
  knownRuns.set(run.runId, run);
  for (const listener of [...runListeners]) listener(run);
}

/** Tells every run as it is and then each one when it changes. All callers share one connection. Returns what stops it. */
export function watchRuns(onRun: (run: Run) => void): () => void {
  const listener = (run: Run): void => onRun(run); // the same function twice is two callers
  runListeners.add(listener);
  for (const run of knownRuns.values()) listener(run);
  runsStream ??= new LiveStream(
    {
      url: () => apiUrl('/watch'),
      onMessage: (_name, data) => {
        const { run } = (data ?? {}) as { readonly run?: Run };
        if (run) tellRun(run);
      },
      onState: (state) => {
        runsState.value = state;
        if (state === 'ended' || state === 'failed') runsStream = undefined;
      },
      onRefused: mayTryAgain,
    },
    browser,
  );
  return () => {
    runListeners.delete(listener);
    if (runListeners.size > 0) return;
    runsStream?.close();
    runsStream = undefined;
    knownRuns.clear();
    runsState.value = 'connecting';
  };
}

export interface RunWatch {
  /** sequence number of the last event that is known; 0 or left out: all of them */
  readonly since?: string | number;
  readonly onEvent: (event: RunEvent) => void;
  readonly onState?: (state: LiveState) => void;
  /** the run is not there */
  readonly onError?: (error: ApiError) => void;
}

/**
 * Tells a run's events, progress too. When the run has ended the connection ends with it, state `ended`; it comes back
 * when the run is resumed. Returns what stops it.
 */
export function watchRun(runId: string, { since = 0, onEvent, onState, onError }: RunWatch): () => void {
  let last = BigInt(since);
  let stream: LiveStream | undefined;
  let isOver = false;
  let stopWaiting: (() => void) | undefined;
  const connect = (): void => {
    stream = new LiveStream(
      {
        url: () => apiUrl(`/runs/${encodeURIComponent(runId)}/watch`, { since: String(last) }),
        onMessage: (_name, data) => {
          const { event } = (data ?? {}) as { readonly event?: RunEvent };
          if (!event) return;
          const sequence = BigInt(event.sequence);
          if (sequence > last) last = sequence;
          onEvent(event);
        },
        onState: (state) => {
          onState?.(state);
          if (state === 'ended') waitForResume();
        },
        onRefused: async () => {
          try {
            await getRun(runId);
            return true;
          } catch (thrown) {
            const error = ApiError.from(thrown);
            if (error.status !== 404 && error.status !== 401) return true;
            if (!isOver) onError?.(error);
            return false;
          }
        },
      },
      browser,
    );
  };
  const waitForResume = (): void => {
    stream = undefined;
    let isReplay = true; // what is known already may be from before the end
    stopWaiting = watchRuns((run) => {
      if (isReplay || isOver || run.runId !== runId || !isActive(run)) return;
      stopWaiting?.();
      stopWaiting = undefined;
      connect();
    });
    isReplay = false;
  };
  connect();
  return () => {
    isOver = true;
    stopWaiting?.();
    stream?.close();
  };
}

/** Is the run waiting for its place or being advanced? */
export function isActive({ state }: Pick<Run, 'state'>): boolean {
  return state === 'RUN_STATE_QUEUED' || state === 'RUN_STATE_RUNNING' || state === 'RUN_STATE_PAUSING';
}

/** Tells what an action answered before the stream does. */
export function tellAnswer(run: Run): void {
  if (runListeners.size > 0) tellRun(run);
}
