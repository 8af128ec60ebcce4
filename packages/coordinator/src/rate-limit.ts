export interface RateLimitOptions {
  /** calls a second that a client may make for ever */
  readonly perSecond: number;
  /** calls that it may make at once after a pause */
  readonly burst: number;
  /** milliseconds that never go back */
  readonly now?: () => number;
}

interface Bucket {
  calls: number;
  at: number;
}

/** Clients are forgotten when their bucket is full again: looked for when there are this many. */
const SWEEP_AT = 1_024;

/** A bucket for each client: a call takes one of its `burst` places, `perSecond` of them come back. */
export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;
  #sweepAt = SWEEP_AT;

  constructor(private readonly options: RateLimitOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  /** Counts a call. Answers 0, or the milliseconds after which the next one fits: then it is not counted. */
  take(client: string): number {
    const { burst, perSecond } = this.options;
    const now = this.#now();
    const bucket = this.#buckets.get(client) ?? { calls: burst, at: now };
    bucket.calls = this.#filled(bucket, now);
    bucket.at = now;
    this.#buckets.set(client, bucket);
    if (this.#buckets.size >= this.#sweepAt) this.#sweep(now);
    if (bucket.calls < 1) return Math.ceil(((1 - bucket.calls) / perSecond) * 1_000);
    bucket.calls -= 1;
    return 0;
  }

  /** Clients that are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  #filled({ calls, at }: Bucket, now: number): number {
    return Math.min(this.options.burst, calls + ((now - at) / 1_000) * this.options.perSecond);
  }

  #sweep(now: number): void {
    for (const [client, bucket] of this.#buckets) if (this.#filled(bucket, now) >= this.options.burst) this.#buckets.delete(client);
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#buckets.size);
  }
}
