import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Dd2Error } from '@dd2/core';
import { EventStream } from './event-stream.js';

const HEARTBEAT_MS = 15_000;
const HEARTBEAT = Buffer.from(': still here\n\n');
/** a reader that has taken nothing for so long is gone, or as good as gone */
const LONGEST_BEHIND_MS = 60_000;
const TOO_SLOW = Buffer.from(': this reader does not keep up\n\n');
const CLOSED = Buffer.from(': the server stops\n\n');

/** The open streams of events: their number is bounded, all share one heartbeat, and readers that stand still are let go. */
export class EventStreams {
  readonly #open = new Set<EventStream>();
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor(private readonly limit: number) {
    this.#timer = setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
  }

  get size(): number {
    return this.#open.size;
  }

  /** Refuses another stream when there are too many, while an answer with a status is still possible. @throws {Dd2Error} RESOURCE_EXHAUSTED, UNAVAILABLE */
  requirePlace(): void {
    if (this.#closed) throw new Dd2Error('UNAVAILABLE', 'the coordinator stops', { remedy: 'Try again when it is back' });
    if (this.#open.size < this.limit) return;
    throw new Dd2Error('RESOURCE_EXHAUSTED', `${this.#open.size} streams of events are open, which is the limit`, { remedy: 'Close pages that nobody looks at' });
  }

  /** @throws {Dd2Error} RESOURCE_EXHAUSTED, UNAVAILABLE */
  open(response: ServerResponse, headers: OutgoingHttpHeaders): EventStream {
    this.requirePlace();
    const stream = new EventStream(response, headers);
    this.#open.add(stream);
    response.once('close', () => this.#open.delete(stream));
    return stream;
  }

  /** Ends all streams. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const stream of this.#open) stream.end(CLOSED);
  }

  #beat(): void {
    const now = performance.now();
    for (const stream of this.#open) {
      if (!stream.isBehind) stream.send(HEARTBEAT);
      else if (stream.behindMs(now) > 2 * LONGEST_BEHIND_MS) stream.destroy();
      else if (stream.behindMs(now) > LONGEST_BEHIND_MS) stream.end(TOO_SLOW);
    }
  }
}
