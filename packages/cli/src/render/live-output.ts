/** What of a terminal is used: `process.stdout`, or a stand-in. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Without a terminal, a status is printed as a line at most this often. */
const STATUS_INTERVAL_MS = 5_000;

/**
 * Lines that stay, above one status line that is replaced. Where there is no terminal the status becomes a line every few
 * seconds, so that a log file stays readable.
 */
export class LiveOutput {
  #status = '';
  #printedAt = -Infinity;

  constructor(
    private readonly terminal: Terminal,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Prints text that stays. */
  line(text: string): void {
    this.#erase();
    this.terminal.write(`${text}\n`);
    this.#draw();
  }

  status(text: string): void {
    if (this.terminal.isTTY === true) {
      this.#erase();
      this.#status = text;
      this.#draw();
      return;
    }
    if (this.now() - this.#printedAt < STATUS_INTERVAL_MS) return;
    this.#printedAt = this.now();
    this.terminal.write(`${text}\n`);
  }

  /** Removes the status line; what was printed before stays. */
  clear(): void {
    this.#erase();
    this.#status = '';
  }

  #erase(): void {
    if (this.#status !== '') this.terminal.write('\r\x1b[2K');
  }

  #draw(): void {
    // A status that wraps could not be erased: it is cut at the terminal's width.
    if (this.#status !== '') this.terminal.write(this.#status.slice(0, Math.max(20, this.terminal.columns ?? 80) - 1));
  }
}
