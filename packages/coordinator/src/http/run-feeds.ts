import type { RunManager } from '../run-manager.js';
import { RunFeed } from './run-feed.js';

/** The feeds of the runs that somebody watches. */
export class RunFeeds {
  readonly #feeds = new Map<string, RunFeed>();

  constructor(private readonly runs: Pick<RunManager, 'find'>) {}

  /** @throws {Dd2Error} RUN_NOT_FOUND */
  of(runId: string): RunFeed {
    const known = this.#feeds.get(runId);
    if (known) return known;
    const feed = new RunFeed(this.runs.find(runId), () => this.#feeds.delete(runId));
    this.#feeds.set(runId, feed);
    return feed;
  }
}
