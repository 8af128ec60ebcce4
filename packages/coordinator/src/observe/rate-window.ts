const SECONDS = 60;

/**
 * What has happened in the last minute, in buckets of a second: memory that does not grow, and a few additions for each thing
 * that happens. Times are milliseconds of a clock that does not go back.
 */
export class RateWindow {
  readonly #amounts = new Float64Array(SECONDS);
  /** the second that each bucket holds */
  readonly #seconds = new Float64Array(SECONDS).fill(-1);

  constructor(readonly openedAt: number) {}

  add(amount: number, now: number): void {
    this.#addTo(Math.floor(now / 1_000), amount);
  }

  /** Adds the milliseconds between two times, to each second what falls into it; what is older than the window is left out. */
  addTime(from: number, to: number): void {
    const last = Math.floor(to / 1_000);
    for (let second = Math.max(Math.floor(from / 1_000), last - SECONDS + 1); second <= last; second++) {
      this.#addTo(second, Math.max(0, Math.min(to, (second + 1) * 1_000) - Math.max(from, second * 1_000)));
    }
  }

  /** All of the window. */
  sum(now: number): number {
    const oldest = Math.floor(now / 1_000) - SECONDS + 1;
    return this.#amounts.reduce((sum, amount, index) => ((this.#seconds[index] ?? -1) >= oldest ? sum + amount : sum), 0);
  }

  /** How much time the window covers: it may not be open for a minute yet, and its last second is not over. At least a second. */
  coveredMs(now: number): number {
    return Math.max(1_000, Math.min(now - this.openedAt, (SECONDS - 1) * 1_000 + (now % 1_000)));
  }

  perSecond(now: number): number {
    return (this.sum(now) * 1_000) / this.coveredMs(now);
  }

  #addTo(second: number, amount: number): void {
    const index = second % SECONDS;
    if (this.#seconds[index] !== second) this.#amounts[index] = 0;
    this.#seconds[index] = second;
    this.#amounts[index] = (this.#amounts[index] ?? 0) + amount;
  }
}
