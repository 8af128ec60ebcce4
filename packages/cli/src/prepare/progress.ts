/** Where progress lines go. */
export type Report = (line: string) => void;

/** Prints at most one line every few seconds, and always the last one: name, step, loss, rate, time to the end. */
export class StepProgress {
  readonly #started = performance.now();
  #printed = -Infinity;

  constructor(
    private readonly name: string,
    private readonly steps: number,
    private readonly report: Report,
    private readonly intervalMs = 5_000,
  ) {}

  /** @param step counts from 0: this one is complete */
  step(step: number, values: Readonly<Record<string, number>>): void {
    const now = performance.now();
    const done = step + 1;
    if (done < this.steps && now - this.#printed < this.intervalMs) return;
    this.#printed = now;
    const rate = (done / (now - this.#started)) * 1_000;
    const shown = Object.entries(values).map(([key, value]) => `${key} ${value.toFixed(4)}`);
    const position = `${String(done).padStart(String(this.steps).length)}/${this.steps}`;
    this.report([this.name.padEnd(10), position, ...shown, `${rate.toFixed(1)} steps/s`, `${Math.round((this.steps - done) / rate)} s left`].join('  '));
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1_000;
  }
}
