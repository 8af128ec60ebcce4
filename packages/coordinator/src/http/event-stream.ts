import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** One server-sent event, as it goes over the wire. */
export function eventFrame(event: string, json: string, id?: number): Buffer {
  return Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${json}\n\n`);
}

/** What a feed writes its events to. */
export type EventSink = Pick<EventStream, 'isBehind' | 'send' | 'end' | 'onReady'>;

/** A response that goes on for as long as somebody reads it. */
export class EventStream {
  /** since when the reader has not kept up */
  #behindSince: number | undefined;
  #ended = false;
  /** called when the reader has caught up */
  onReady: () => void = () => undefined;

  constructor(
    private readonly response: ServerResponse,
    headers: OutgoingHttpHeaders,
  ) {
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    response.flushHeaders();
    response.on('drain', () => {
      this.#behindSince = undefined;
      this.onReady();
    });
    // A reader that goes away while something is written is no error.
    response.on('error', () => response.destroy());
  }

  /** Whether the reader has not taken what was sent so far: what follows waits with its sender, where it takes no memory. */
  get isBehind(): boolean {
    return this.#ended || this.response.writableNeedDrain;
  }

  /** Milliseconds for which the reader has taken nothing. */
  behindMs(now: number): number {
    return this.#behindSince === undefined ? 0 : now - this.#behindSince;
  }

  /** Sends bytes that make whole events. Answers whether more may follow at once. */
  send(frames: Uint8Array): boolean {
    if (this.#ended) return false;
    const more = this.response.write(frames);
    if (!more) this.#behindSince ??= performance.now();
    return more;
  }

  end(frames?: Uint8Array): void {
    if (this.#ended) return;
    this.#ended = true;
    this.response.end(frames);
  }

  destroy(): void {
    this.#ended = true;
    this.response.destroy();
  }
}
