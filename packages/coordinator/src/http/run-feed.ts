import { RunService } from '@dd2/proto';
import type { RunHistory, RunMoment } from '../run-history.js';
import { eventMessage } from '../run-messages.js';
import { eventFrame, type EventSink } from './event-stream.js';
import { jsonOf } from './json-answer.js';

const PROGRESS_INTERVAL_MS = 1_000;
/** the newest events are kept as they go over the wire: all viewers get the same bytes */
const KEPT_FRAMES = 64;
const END = eventFrame('end', '{}');

interface Viewer {
  readonly stream: EventSink;
  /** index of the next event to send; what a slow reader has not got yet is no more than this number */
  next: number;
  /** version of the progress that it has got */
  progress: number;
}

/**
 * What happens in one run, for all who watch it: the history is heard once, each event is written out once, and a viewer who
 * is behind gets every event, but of the progress only the newest.
 */
export class RunFeed {
  readonly #viewers = new Set<Viewer>();
  readonly #frames = new Map<number, Buffer>();
  /** since the last event, which says the same and more */
  #progress: { readonly moment: RunMoment; frame?: Buffer } | undefined;
  #version = 0;
  #told = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  readonly #leave: () => void;

  /** @param onEmpty nobody watches any more: the feed is over */
  constructor(
    private readonly run: RunHistory,
    private readonly onEmpty: () => void,
  ) {
    this.#leave = run.subscribe((moment) => this.#hear(moment));
  }

  /** Adds a viewer who knows the events up to the sequence number `since`. @returns what takes the viewer out again */
  add(stream: EventSink, since: number): () => void {
    const { events } = this.run;
    const found = events.findIndex(({ sequence }) => sequence > since);
    const viewer: Viewer = { stream, next: found === -1 ? events.length : found, progress: 0 };
    this.#viewers.add(viewer);
    stream.onReady = () => this.#serve(viewer);
    this.#serve(viewer);
    return () => this.#remove(viewer);
  }

  #hear(moment: RunMoment): void {
    if (moment.kind !== 'progress') {
      this.#progress = undefined;
      this.#serveAll();
      return;
    }
    this.#progress = { moment };
    if (this.#timer) return;
    const wait = this.#told + PROGRESS_INTERVAL_MS - performance.now();
    if (wait <= 0) this.#tellProgress();
    else this.#timer = setTimeout(() => this.#tellProgress(), wait).unref();
  }

  #tellProgress(): void {
    this.#timer = undefined;
    this.#told = performance.now();
    if (!this.#progress) return;
    this.#progress.frame = frameOf(this.#progress.moment);
    this.#version++;
    this.#serveAll();
  }

  #serveAll(): void {
    for (const viewer of this.#viewers) this.#serve(viewer);
  }

  /** Sends what the viewer does not have yet, as far as it keeps up; the rest follows when it is ready. */
  #serve(viewer: Viewer): void {
    const { stream } = viewer;
    const { events } = this.run;
    while (viewer.next < events.length) {
      if (stream.isBehind) return;
      const moment = events[viewer.next++];
      if (moment) stream.send(this.#frameOf(moment));
    }
    const frame = this.#progress?.frame;
    if (frame && viewer.progress < this.#version && !stream.isBehind) {
      viewer.progress = this.#version;
      stream.send(frame);
    }
    if (!this.run.hasEnded) return;
    stream.end(END);
    this.#remove(viewer);
  }

  #frameOf(moment: RunMoment): Buffer {
    const known = this.#frames.get(moment.sequence);
    if (known) return known;
    const frame = frameOf(moment);
    this.#frames.set(moment.sequence, frame);
    const [oldest] = this.#frames.keys();
    if (this.#frames.size > KEPT_FRAMES && oldest !== undefined) this.#frames.delete(oldest);
    return frame;
  }

  #remove(viewer: Viewer): void {
    if (!this.#viewers.delete(viewer) || this.#viewers.size > 0) return;
    this.#leave();
    clearTimeout(this.#timer);
    this.onEmpty();
  }
}

/** Progress has no number of its own: a viewer who comes back asks for what follows the last event. */
function frameOf(moment: RunMoment): Buffer {
  const json = jsonOf(RunService.method.watchRun.output, { event: eventMessage(moment) });
  return eventFrame('run-event', json, moment.kind === 'progress' ? undefined : moment.sequence);
}
