import { FloatList } from './float-list.js';

/** Points that one entry of a level summarises, in entries of the level below. */
const FACTOR = 16;
/** Numbers of an entry: lowest, highest and sum of the finite values, and how many there are. */
const ENTRY = 4;

/** What some neighbouring points of a series come to; values that are not finite are left out. */
export interface Summary {
  min: number;
  max: number;
  sum: number;
  count: number;
}

/**
 * The points of one series: for each one the row (the line of the metrics) that it belongs to, and its value, NaN when that is not
 * finite. Above the values stands a pyramid: each level summarises 16 entries of the one below, so that any range is summarised from
 * a few dozen entries. Each entry is computed from its children from left to right: the same points give the same bits, whether they
 * came one by one, all at once, or out of a file.
 */
export class SeriesColumn {
  readonly #load: (() => FloatList) | undefined;
  #values: FloatList | undefined;
  readonly #levels: FloatList[] = [];
  /** points that the pyramid has; it is complete when `#complete` says so */
  #summarised = 0;
  #complete = true;
  #length: number;

  /**
   * @param rows ascending; shared with other columns while this one has a point in each of them, and then at least as long as this
   * @param load reads the values when they are needed first
   */
  constructor(
    readonly name: string,
    public rows: FloatList,
    kept?: { readonly length: number; readonly load: () => FloatList; readonly lowest: FloatList },
  ) {
    this.#length = kept?.length ?? 0;
    if (kept) {
      this.#load = kept.load;
      this.#levels.push(kept.lowest);
      this.#summarised = this.#length;
      this.#summariseLevels(1, 0);
    } else {
      this.#values = new FloatList();
    }
  }

  get length(): number {
    return this.#length;
  }

  /** bytes of memory */
  get bytes(): number {
    return this.#levels.reduce((sum, level) => sum + level.bytes, this.#values?.bytes ?? 0);
  }

  get values(): FloatList {
    return (this.#values ??= this.#load?.() ?? new FloatList());
  }

  /** The level of the pyramid that the others follow from. */
  get lowest(): FloatList {
    this.#summarise();
    return this.#levels[0] ?? new FloatList();
  }

  push(value: number): void {
    this.values.push(Number.isFinite(value) ? value : NaN);
    this.#length += 1;
    this.#complete = false;
  }

  /** Drops the points from this one on. */
  truncate(length: number): void {
    if (length >= this.#length) return;
    this.values.resize(length);
    this.#length = length;
    this.#summarised = Math.min(this.#summarised, length - (length % FACTOR));
    this.#complete = false;
  }

  /** Adds up the points [from, to) in `into`. */
  summarise(from: number, to: number, into: Summary): void {
    this.#summarise();
    into.min = Infinity;
    into.max = -Infinity;
    into.sum = 0;
    into.count = 0;
    for (let position = from; position < to; ) {
      let [level, size] = [-1, 1];
      // The largest entry that begins here and does not reach beyond: the last one of a level ends with the points.
      while (level + 1 < this.#levels.length) {
        const next = size * FACTOR;
        if (position % next !== 0 || Math.min(position + next, this.#length) > to) break;
        level += 1;
        size = next;
      }
      const entries = this.#levels[level];
      if (entries) addEntry(into, entries, position / size);
      else addValue(into, this.values.at(position));
      position += size;
    }
  }

  #summarise(): void {
    if (this.#complete) return;
    const lowest = (this.#levels[0] ??= new FloatList());
    const { values } = this;
    const first = Math.floor(this.#summarised / FACTOR);
    const entries = Math.ceil(this.#length / FACTOR);
    lowest.resize(entries * ENTRY);
    const summary: Summary = { min: 0, max: 0, sum: 0, count: 0 };
    for (let entry = first; entry < entries; entry++) {
      reset(summary);
      const end = Math.min((entry + 1) * FACTOR, this.#length);
      for (let position = entry * FACTOR; position < end; position++) addValue(summary, values.at(position));
      setEntry(lowest, entry, summary);
    }
    this.#summarised = this.#length;
    this.#complete = true;
    this.#summariseLevels(1, first);
  }

  /** Brings the levels from `level` on up to date, given that entries of the one below have changed from `changed` on. */
  #summariseLevels(level: number, changed: number): void {
    const below = this.#levels[level - 1];
    const children = (below?.length ?? 0) / ENTRY;
    if (!below || children <= 1) {
      this.#levels.length = Math.min(this.#levels.length, level);
      return;
    }
    const own = (this.#levels[level] ??= new FloatList());
    const first = Math.min(Math.floor(changed / FACTOR), Math.floor(own.length / ENTRY));
    const entries = Math.ceil(children / FACTOR);
    own.resize(entries * ENTRY);
    const summary: Summary = { min: 0, max: 0, sum: 0, count: 0 };
    for (let entry = first; entry < entries; entry++) {
      reset(summary);
      const end = Math.min((entry + 1) * FACTOR, children);
      for (let child = entry * FACTOR; child < end; child++) addEntry(summary, below, child);
      setEntry(own, entry, summary);
    }
    this.#summariseLevels(level + 1, first);
  }
}

/** Numbers of the lowest level for so many points. */
export function lowestLevelLength(points: number): number {
  return Math.ceil(points / FACTOR) * ENTRY;
}

function reset(summary: Summary): void {
  summary.min = Infinity;
  summary.max = -Infinity;
  summary.sum = 0;
  summary.count = 0;
}

function addValue(summary: Summary, value: number): void {
  if (Number.isNaN(value)) return;
  if (value < summary.min) summary.min = value;
  if (value > summary.max) summary.max = value;
  summary.sum += value;
  summary.count += 1;
}

function addEntry(summary: Summary, entries: FloatList, entry: number): void {
  const at = entry * ENTRY;
  const count = entries.at(at + 3);
  if (count === 0) return;
  const [min, max] = [entries.at(at), entries.at(at + 1)];
  if (min < summary.min) summary.min = min;
  if (max > summary.max) summary.max = max;
  summary.sum += entries.at(at + 2);
  summary.count += count;
}

function setEntry(entries: FloatList, entry: number, summary: Summary): void {
  const at = entry * ENTRY;
  entries.set(at, summary.min);
  entries.set(at + 1, summary.max);
  entries.set(at + 2, summary.sum);
  entries.set(at + 3, summary.count);
}
