import { RunService } from '@dd2/proto';
import type { RunChanges } from '../run-changes.js';
import type { RunHistory } from '../run-history.js';
import type { RunManager } from '../run-manager.js';
import { runMessage } from '../run-messages.js';
import { eventFrame, type EventSink } from './event-stream.js';
import { jsonOf } from './json-answer.js';

interface Viewer {
  readonly stream: EventSink;
  /** the newest change it has got */
  version: number;
}

/** All runs, for all who watch them: each change is written out once, and a viewer who is behind gets the newest of each run. */
export class RunsFeed {
  readonly #viewers = new Set<Viewer>();
  /** each run as it is, in the order of their changes; kept while somebody watches */
  readonly #frames = new Map<string, { readonly version: number; readonly frame: Buffer }>();
  #version = 0;
  #leave: (() => void) | undefined;

  constructor(
    private readonly runs: RunManager,
    private readonly changes: RunChanges,
  ) {}

  /** @returns what takes the viewer out again */
  add(stream: EventSink): () => void {
    this.#leave ??= this.changes.subscribe((run) => {
      this.#write(run);
      for (const viewer of this.#viewers) this.#serve(viewer);
    });
    // The oldest first: whoever reads sees the newest run last, as when it is submitted.
    for (const run of [...this.runs.runs].reverse()) if (!this.#frames.has(run.identity.runId)) this.#write(run);
    const viewer: Viewer = { stream, version: 0 };
    this.#viewers.add(viewer);
    stream.onReady = () => this.#serve(viewer);
    this.#serve(viewer);
    return () => this.#remove(viewer);
  }

  #write(run: RunHistory): void {
    const { runId } = run.identity;
    this.#frames.delete(runId); // so that it comes last
    this.#frames.set(runId, { version: ++this.#version, frame: eventFrame('run', jsonOf(RunService.method.watchRuns.output, { run: runMessage(this.runs, run) })) });
  }

  #serve(viewer: Viewer): void {
    for (const { version, frame } of this.#frames.values()) {
      if (version <= viewer.version) continue;
      if (viewer.stream.isBehind) return;
      viewer.stream.send(frame);
      viewer.version = version;
    }
  }

  #remove(viewer: Viewer): void {
    if (!this.#viewers.delete(viewer) || this.#viewers.size > 0) return;
    this.#leave?.();
    this.#leave = undefined;
    this.#frames.clear();
  }
}
