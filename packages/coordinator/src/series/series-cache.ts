import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { FloatList } from './float-list.js';
import type { Mark } from './metrics-follower.js';
import { lowestLevelLength, SeriesColumn } from './series-column.js';
import { seriesGroups } from './series-names.js';
import { seriesAxes, SeriesStore } from './series-store.js';

/** Raised with every change of the file's form, or of how a series follows from the metrics: older files are dropped then. */
const VERSION = 1;
const MAGIC = 0x53324444; // "DD2S" where the least significant byte comes first, which the numbers below need, too
/** magic, version, length and CRC-32 of the header, 32 bits each */
const PRELUDE_BYTES = 16;
const MOST_HEADER_BYTES = 64 << 20;

const count = z.number().int().min(0);
const sectionSchema = z.object({ offset: count.multipleOf(8), length: count, crc32: count });
type Section = Readonly<z.infer<typeof sectionSchema>>;
const sections = <K extends string>(names: readonly K[]) => z.record(z.enum(names), sectionSchema);
const stateSchema = z.object({
  rows: count,
  samples: z.number(),
  generatorUpdates: z.number(),
  clockMs: z.number(),
  beganAt: z.number().nullable(),
  rates: z.object({ phase: z.string(), wallMs: z.number(), samples: z.number(), wallMsAt: z.array(z.number()), samplesAt: z.array(z.number()), distilling: z.boolean(), guidance: z.number(), guidanceAt: z.array(z.number()) }),
});
const headerSchema = z.object({
  bytes: count,
  marks: z.array(z.object({ bytes: count, lineFrom: count, lineSha256: z.string(), state: stateSchema })).min(1),
  axes: sections(seriesAxes),
  groups: sections(seriesGroups),
  columns: z.array(z.object({ name: z.string(), length: count, rows: z.union([z.enum(seriesGroups), sectionSchema]), values: sectionSchema, lowest: sectionSchema })),
});
type Header = z.infer<typeof headerSchema>;

/** A part of the cache file is not what was written. */
export class DamagedSeriesCache extends Error {}

/** A store out of a cache file. The file stays open for values that are read when they are needed first. */
export interface CachedSeries {
  readonly store: SeriesStore;
  readonly marks: readonly Mark[];
  close(): void;
}

/**
 * Writes what a follower has read, complete or not at all. The file is derived: it may be deleted at any time, and who reads it
 * checks every part of it. It holds a header (JSON: places of the sections, with their CRC-32; the marks that bind them to the
 * lines of metrics.jsonl) and then sections of float64 values.
 */
export function writeSeriesCache(path: string, store: SeriesStore, marks: readonly Mark[]): void {
  if (marks.length === 0) return;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    const lists: FloatList[] = [];
    let length = 0;
    const section = (list: FloatList, used = list.length): Section => {
      const values = list.view().subarray(0, used);
      lists.push(used === list.length ? list : list.slice(used));
      const own = { offset: length * 8, length: used, crc32: crc32(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)) };
      length += used;
      return own;
    };
    const byName = <K extends string>(names: readonly K[], of: (name: K) => FloatList) => Object.fromEntries(names.map((name) => [name, section(of(name))])) as Record<K, Section>;
    const header: Header = {
      bytes: 0,
      marks: [...marks],
      axes: byName(seriesAxes, (axis) => store.axes[axis]),
      groups: byName(seriesGroups, (group) => store.groupRows(group)),
      columns: store.columns.map((column) => {
        const { name, rows, values, lowest } = column;
        return { name, length: column.length, rows: seriesGroups.find((group) => store.groupRows(group) === rows) ?? section(rows), values: section(values), lowest: section(lowest) };
      }),
    };
    header.bytes = length * 8;
    const text = Buffer.from(JSON.stringify(header));
    const prelude = Uint32Array.of(MAGIC, VERSION, text.length, crc32(text));
    writeWhole(file, new Uint8Array(prelude.buffer), 0);
    writeWhole(file, text, PRELUDE_BYTES);
    let offset = sectionsFrom(text.length);
    for (const list of lists) {
      const { buffer, byteOffset, byteLength } = list.view();
      writeWhole(file, new Uint8Array(buffer, byteOffset, byteLength), offset);
      offset += byteLength;
    }
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

/** Opens a cache; nothing when there is none, or none that can be used: of another version, cut off, damaged. */
export function openSeriesCache(path: string): CachedSeries | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    return readCache(file);
  } catch {
    closeSync(file);
    return undefined;
  }
}

function readCache(file: number): CachedSeries {
  const [magic, version, headerBytes = 0, headerCrc] = new Uint32Array(readWhole(file, PRELUDE_BYTES, 0).buffer);
  if (magic !== MAGIC || version !== VERSION || headerBytes > MOST_HEADER_BYTES) throw new DamagedSeriesCache('another file or version');
  const text = Buffer.from(readWhole(file, headerBytes, PRELUDE_BYTES).buffer);
  if (crc32(text) !== headerCrc) throw new DamagedSeriesCache('the header is damaged');
  const header = headerSchema.parse(JSON.parse(text.toString()));
  const start = sectionsFrom(headerBytes);
  if (fstatSync(file).size !== start + header.bytes) throw new DamagedSeriesCache('the file is cut off');

  let closed = false;
  const read = (section: Section): FloatList => {
    if (closed) throw new DamagedSeriesCache('the file is closed');
    const bytes = readWhole(file, section.length * 8, start + section.offset);
    if (crc32(bytes) !== section.crc32) throw new DamagedSeriesCache('a section is damaged');
    return new FloatList(new Float64Array(bytes.buffer));
  };
  const byName = <K extends string>(names: readonly K[], from: Readonly<Record<K, Section>>) => Object.fromEntries(names.map((name) => [name, read(from[name])])) as Record<K, FloatList>;
  const axes = byName(seriesAxes, header.axes);
  const groups = byName(seriesGroups, header.groups);
  const columns = header.columns.map(({ name, length, rows, values, lowest }) => {
    if (values.length !== length || lowest.length !== lowestLevelLength(length)) throw new DamagedSeriesCache('the sections do not fit');
    return new SeriesColumn(name, typeof rows === 'string' ? groups[rows] : read(rows), { length, load: () => read(values), lowest: read(lowest) });
  });
  const { marks } = header;
  const state = marks.at(-1)?.state;
  if (!state || seriesAxes.some((axis) => axes[axis].length !== state.rows)) throw new DamagedSeriesCache('the axes do not fit');
  const close = (): void => {
    if (!closed) closeSync(file);
    closed = true;
  };
  return { store: new SeriesStore({ axes, groups, columns, state }), marks, close };
}

/** Sections begin where float64 values may. */
function sectionsFrom(headerBytes: number): number {
  return Math.ceil((PRELUDE_BYTES + headerBytes) / 8) * 8;
}

function readWhole(file: number, length: number, position: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const read = readSync(file, bytes, done, length - done, position + done);
    if (read === 0) throw new DamagedSeriesCache('the file is cut off');
    done += read;
  }
  return bytes;
}

function writeWhole(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, position + done);
}
