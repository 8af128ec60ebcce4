import type { RunHistory } from './run-history.js';
import type { RunManager } from './run-manager.js';

const INTERVAL_MS = 1_000;

/** Tells which runs have changed: each at once after a pause, and otherwise at most once a second. */
export class RunChanges {
  readonly #listeners = new Set<(run: RunHistory) => void>();
  readonly #toldAt = new Map<string, number>();
  /** runs that have changed since they were told last */
  readonly #waiting = new Map<string, NodeJS.Timeout>();
  #leave: (() => void) | undefined;

  constructor(
    private readonly runs: Pick<RunManager, 'subscribe'>,
    private readonly intervalMs = INTERVAL_MS,
  ) {}

  /** @returns what ends it */
  subscribe(hear: (run: RunHistory) => void): () => void {
    this.#listeners.add(hear);
    this.#leave ??= this.runs.subscribe((run) => this.#changed(run));
    return () => {
      this.#listeners.delete(hear);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  /** Every run that is there, and then each one that has changed, until the signal aborts. A slow reader misses changes, never the last one of a run. */
  async *watch(there: readonly RunHistory[], signal: AbortSignal): AsyncGenerator<RunHistory, void> {
    const due = new Set(there);
    let wake = (): void => undefined;
    const leave = this.subscribe((run) => {
      due.add(run);
      wake();
    });
    const aborted = (): void => wake();
    signal.addEventListener('abort', aborted);
    try {
      while (!signal.aborted) {
        const [run] = due;
        if (run === undefined) {
          await new Promise<void>((resolve) => (wake = resolve));
        } else {
          due.delete(run);
          yield run;
        }
      }
    } finally {
      leave();
      signal.removeEventListener('abort', aborted);
    }
  }

  #changed(run: RunHistory): void {
    const { runId } = run.identity;
    if (this.#waiting.has(runId)) return;
    const wait = (this.#toldAt.get(runId) ?? -Infinity) + this.intervalMs - performance.now();
    if (wait <= 0) this.#tell(run);
    else this.#waiting.set(runId, setTimeout(() => this.#tell(run), wait).unref());
  }

  #tell(run: RunHistory): void {
    const { runId } = run.identity;
    this.#waiting.delete(runId);
    this.#toldAt.set(runId, performance.now());
    for (const hear of this.#listeners) hear(run);
  }

  #stop(): void {
    this.#leave?.();
    this.#leave = undefined;
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#toldAt.clear();
  }
}
