import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { parseMetricsLine } from './metrics-line.js';
import { SeriesStore, type StoreState } from './series-store.js';

/** A place in metrics.jsonl up to which a store has it, and how to see that the file is still the same up to there. */
export interface Mark {
  /** end of the last line that was read, its line feed included */
  readonly bytes: number;
  /** beginning of that line */
  readonly lineFrom: number;
  /** SHA-256 of that line, lower-case hexadecimal */
  readonly lineSha256: string;
  /** of the store at that place */
  readonly state: StoreState;
}

/** Rows between two marks: what is read again at most, beside what is new, when the end of the file was replaced. */
const MARK_ROWS = 8_192;
const CHUNK_BYTES = 1 << 20;
/** What has no line feed for so many bytes is no metrics.jsonl: the series end before it. */
const LONGEST_LINE = 64 << 20;
const LINE_FEED = 10;

/**
 * Keeps a store in line with a metrics.jsonl: reads what was appended since the last time. A line without its line feed is not
 * there yet. A file that was replaced, as a resumed run does to drop the updates that it repeats, is recognised by the last line
 * that was read; then the store goes back to the last mark that is still true.
 */
export class MetricsFollower {
  #marks: Mark[];
  #place: Mark;
  #seen: Pick<Stats, 'ino' | 'size' | 'mtimeMs'> | undefined;

  constructor(
    readonly path: string,
    readonly store = new SeriesStore(),
    marks: readonly Mark[] = [],
  ) {
    this.#marks = [...marks];
    this.#place = this.#marks.at(-1) ?? placeOf(0, 0, '', store);
  }

  /** Ascending; the last one is where the store is now. */
  get marks(): readonly Mark[] {
    return this.#place.bytes === 0 ? [] : [...this.#marks.filter(({ bytes }) => bytes < this.#place.bytes), this.#place];
  }

  /**
   * Reads on to where the file ends now, and lets others have the thread in between.
   * @returns whether the store has changed
   * @throws what the file system throws, other than that there is no such file: that is an empty one
   */
  async follow(): Promise<boolean> {
    const file = openToRead(this.path);
    if (file === undefined) {
      this.#seen = undefined;
      return this.#goBack(undefined);
    }
    try {
      const stats = fstatSync(file);
      const { ino, size, mtimeMs } = stats;
      if (this.#seen?.ino === ino && this.#seen.size === size && this.#seen.mtimeMs === mtimeMs) return false;
      let changed = !isTrue(this.#place, file, size) && this.#goBack(this.#marks.findLast((mark) => mark.bytes < this.#place.bytes && isTrue(mark, file, size)));
      changed = (await this.#readTo(file, size)) || changed;
      this.#seen = { ino, size, mtimeMs };
      return changed;
    } finally {
      closeSync(file);
    }
  }

  async #readTo(file: number, size: number): Promise<boolean> {
    let changed = false;
    let chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(1, size - this.#place.bytes)));
    /** where the next read begins: at the line feed that was not found yet, `kept` bytes after the place */
    let kept = 0;
    while (this.#place.bytes + kept < size) {
      if (kept === chunk.length) {
        if (kept >= LONGEST_LINE) break;
        chunk = Buffer.concat([chunk], chunk.length * 2);
      }
      const wanted = Math.min(chunk.length - kept, size - this.#place.bytes - kept);
      const read = readSync(file, chunk, kept, wanted, this.#place.bytes + kept);
      if (read === 0) break;
      const filled = chunk.subarray(0, kept + read);
      const consumed = this.#take(filled, kept);
      changed ||= consumed > 0;
      filled.copyWithin(0, consumed);
      kept = filled.length - consumed;
      await breathe();
    }
    return changed;
  }

  /** Appends the whole lines of a chunk that begins at the place; there is no line feed in its first bytes. @returns how many bytes they are */
  #take(chunk: Buffer, searched: number): number {
    let [from, line] = [0, 0];
    for (let end = chunk.indexOf(LINE_FEED, searched); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      const metrics = parseMetricsLine(chunk.toString('utf8', from, end));
      if (metrics) {
        this.store.append(metrics);
        if (this.store.rows % MARK_ROWS === 0 && this.#marks.at(-1)?.state.rows !== this.store.rows) this.#marks.push(this.#placeAfter(chunk, from, end + 1));
      }
      line = from;
      from = end + 1;
    }
    if (from > 0) this.#place = this.#placeAfter(chunk, line, from);
    return from;
  }

  #placeAfter(chunk: Buffer, line: number, end: number): Mark {
    const { bytes } = this.#place;
    return placeOf(bytes + line, bytes + end, sha256(chunk.subarray(line, end)), this.store);
  }

  /** @returns whether there was anything to drop */
  #goBack(mark: Mark | undefined): boolean {
    const { rows } = this.store;
    const place = mark ?? placeOf(0, 0, '', new SeriesStore());
    this.store.truncate(place.state);
    this.#place = place;
    this.#marks = this.#marks.filter(({ bytes }) => bytes <= place.bytes);
    return rows > this.store.rows;
  }
}

function placeOf(lineFrom: number, bytes: number, lineSha256: string, store: SeriesStore): Mark {
  return { bytes, lineFrom, lineSha256, state: store.state };
}

/** Does the file still have the line of the mark where it was? */
function isTrue({ bytes, lineFrom, lineSha256 }: Mark, file: number, size: number): boolean {
  if (bytes === 0) return true;
  if (bytes > size) return false;
  const line = Buffer.alloc(bytes - lineFrom);
  return readSync(file, line, 0, line.length, lineFrom) === line.length && sha256(line) === lineSha256;
}

function openToRead(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
