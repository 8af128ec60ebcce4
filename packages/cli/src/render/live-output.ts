import type { Terminal } from './terminal.js';
import { cut, widthOf } from './text.js';

/** Without a terminal, a status is printed as a line at most this often. */
const STATUS_INTERVAL_MS = 5_000;
/** The terminal shows what lies between these at once, so that nothing flickers; one that does not know them ignores them. */
const [TOGETHER, DONE] = ['\u001b[?2026h', '\u001b[?2026l'];
const LINE_CLEARED = '\r\u001b[2K';

/**
 * Lines that stay, above a status of one or several lines that is replaced. Where there is no terminal the first line of the
 * status becomes a line every few seconds, so that a log file stays readable.
 */
export class LiveOutput {
  #status: readonly string[] = [];
  /** as they are on the screen, cut */
  #drawn: readonly string[] = [];
  #printedAt = -Infinity;

  constructor(
    private readonly terminal: Terminal,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether a person reads along, and not a log. */
  get isTerminal(): boolean {
    return this.terminal.isTTY === true;
  }

  /** Prints text that stays. */
  line(text: string): void {
    this.#replace(`${text}\n`);
  }

  /** Replaces the status. */
  status(text: string): void {
    if (this.isTerminal) {
      this.#status = text === '' ? [] : text.split('\n');
      this.#replace('');
      return;
    }
    if (this.now() - this.#printedAt < STATUS_INTERVAL_MS) return;
    this.#printedAt = this.now();
    this.terminal.write(`${text.split('\n')[0] ?? ''}\n`);
  }

  /** Removes the status; what was printed before stays. */
  clear(): void {
    this.#status = [];
    this.#replace('');
  }

  /** In one write, so that no half of it is ever seen. */
  #replace(lasting: string): void {
    const erased = this.#erased();
    const width = Math.max(20, this.terminal.columns ?? 80);
    // What is taller than the screen could not be erased: the end of it is left out.
    const fitting = this.#status.slice(0, Math.max(1, (this.terminal.rows ?? 24) - 1));
    // What wraps could not be erased either: it is cut.
    this.#drawn = fitting.map((text) => cut(text, width - 1));
    const several = this.#drawn.length > 1;
    const text = erased + lasting + this.#drawn.map((line) => (several ? `${line}\n` : line)).join('');
    if (text === '') return;
    this.terminal.write(several || erased.length > LINE_CLEARED.length ? TOGETHER + text + DONE : text);
  }

  /**
   * A terminal that has become narrower has wrapped what is drawn, but some terminals not the line that the cursor is in: below
   * several lines the cursor has one of its own.
   */
  #erased(): string {
    if (this.#drawn.length === 0) return '';
    if (this.#drawn.length === 1) return LINE_CLEARED;
    const columns = Math.max(1, this.terminal.columns ?? 80);
    const rows = this.#drawn.reduce((sum, text) => sum + Math.max(1, Math.ceil(widthOf(text) / columns)), 0);
    return `\u001b[${rows}A\r\u001b[J`;
  }
}
