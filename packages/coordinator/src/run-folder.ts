import { appendFile, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder } from '@dd2/assets';
import { CheckpointHolds } from './checkpoint-holds.js';

/** The truth about a run on disk: `<dataDir>/runs/<id>/`, plain files in the formats that the field reads. */
export class RunFolder {
  readonly path: string;
  /** checkpoints that are being read */
  readonly holds = new CheckpointHolds();
  /** appends are chained, so that lines keep the order of the calls */
  #appends: Promise<void> = Promise.resolve();
  /** files that end with a whole line: a crash or a full disk may have cut the last one off, and the next must not continue it */
  readonly #mended = new Set<string>();
  /** files with lines that a power cut may take away */
  readonly #unflushed = new Set<string>();

  /** @param verify called before every write: rejects when another coordinator has taken the data folder over */
  constructor(
    dataDir: string,
    readonly runId: string,
    readonly verify: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.path = join(dataDir, 'runs', runId);
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  async create(): Promise<void> {
    await mkdir(this.file('checkpoints'), { recursive: true });
    await mkdir(this.file('evaluations'), { recursive: true });
  }

  /** Removes what a coordinator that was killed was writing: nobody reads it. */
  async removeTemporaries(): Promise<void> {
    for (const folder of ['', 'evaluations']) {
      for (const name of (await namesIn(this.file(folder))).filter(isTemporary)) await this.remove(join(folder, name));
    }
  }

  /** Resolves when a power cut cannot take the folder away, nor the names of the files in it. */
  async flushNames(): Promise<void> {
    for (const folder of [this.path, dirname(this.path), dirname(dirname(this.path))]) await syncFolder(folder);
  }

  /** Appends one JSON line; resolves when it and all before it are in the file, on the disk when it is `flushed`. */
  append(name: LinesFile, line: object, flushed = false): Promise<void> {
    const text = `${JSON.stringify(line)}\n`;
    const appended = this.#appends.then(async () => {
      await this.verify();
      if (!this.#mended.has(name) && (await endsInsideLine(this.file(name)))) await appendFile(this.file(name), '\n');
      this.#mended.delete(name); // a full disk may cut this line off
      this.#unflushed.add(name);
      await appendFile(this.file(name), text, { flush: flushed });
      if (flushed) this.#unflushed.delete(name);
      this.#mended.add(name);
    });
    // A line that could not be written is its caller's to report; the next one is tried again.
    this.#appends = appended.catch(() => undefined);
    return appended;
  }

  /** Resolves when every line so far is on the disk, as far as it could be written. */
  async flush(name: LinesFile): Promise<void> {
    await this.settled();
    if (!this.#unflushed.delete(name)) return;
    try {
      await using file = await open(this.file(name), 'r+');
      await file.datasync();
    } catch (error) {
      this.#unflushed.add(name);
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // no line of it could be written
    }
  }

  /** Drops the metrics of updates that a resumed run is about to repeat, and a line that a crash cut off. */
  async truncateMetrics(update: number): Promise<void> {
    await this.settled();
    const isBefore = (line: string): boolean => {
      const parsed = parseLine(line);
      return typeof parsed?.['update'] === 'number' && parsed['update'] < update;
    };
    await keepLines(this.file('metrics.jsonl'), isBefore, this.verify);
  }

  async events(): Promise<Record<string, unknown>[]> {
    return (await readLines(this.file('events.jsonl'))).map(parseLine).filter((event) => event !== undefined);
  }

  /** Writes a small file: complete or not at all. */
  async write(name: string, content: string | Uint8Array): Promise<void> {
    await this.verify();
    await writeAtomically(this.file(name), content);
  }

  async read(name: string): Promise<string | undefined> {
    return readIfPresent(this.file(name));
  }

  async readBytes(name: string): Promise<Uint8Array | undefined> {
    return ifPresent(readFile(this.file(name)));
  }

  async remove(name: string): Promise<void> {
    await this.verify();
    await rm(this.file(name), { force: true });
  }

  /** Resolves when every append so far was tried. */
  async settled(): Promise<void> {
    await this.#appends;
  }
}

/** A file of a run that grows by lines. */
export type LinesFile = 'metrics.jsonl' | 'events.jsonl';

const LINE_FEED = 10;
let nextTemporary = 1;

/** Writes to a temporary neighbour, flushes it to the disk and renames it: a reader sees the old content or the new. */
export async function writeAtomically(path: string, content: string | Uint8Array, mode?: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = temporaryName(path);
  await writeFile(temporary, content, { flush: true, ...(mode === undefined ? {} : { mode }) });
  await rename(temporary, path);
}

/** The same file may be written twice at once. */
function temporaryName(path: string): string {
  return `${path}.${process.pid}-${nextTemporary++}.tmp`;
}

const isTemporary = (name: string): boolean => /\.\d+-\d+\.tmp$/.test(name);

/** Names in a folder; none when there is no such folder. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  return ifPresent(readFile(path, 'utf8'));
}

async function ifPresent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function endsInsideLine(path: string): Promise<boolean> {
  const file = await ifPresent(open(path));
  if (!file) return false;
  try {
    const { size } = await file.stat();
    const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    return bytesRead === 1 && buffer[0] !== LINE_FEED;
  } finally {
    await file.close();
  }
}

/**
 * Drops lines of a file: complete or not at all. The metrics of a long run are more than one string can hold, and take seconds to
 * parse: they go through in pieces.
 */
async function keepLines(path: string, isKept: (line: string) => boolean, verify: () => Promise<void>): Promise<void> {
  const source = await ifPresent(open(path));
  if (!source) return;
  const temporary = temporaryName(path);
  try {
    let [dropped, rest] = [0, ''];
    const target = await open(temporary, 'w');
    const keep = async (lines: readonly string[]): Promise<void> => {
      const kept = lines.filter((line) => line !== '' && isKept(line));
      dropped += lines.filter((line) => line !== '').length - kept.length;
      await target.appendFile(kept.map((line) => `${line}\n`).join(''));
    };
    try {
      for await (const text of source.createReadStream({ encoding: 'utf8', highWaterMark: 1 << 20, autoClose: false }) as AsyncIterable<string>) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        await keep(lines);
      }
      await keep([rest]);
      if (dropped > 0) await target.sync();
    } finally {
      await target.close();
    }
    await verify();
    if (dropped > 0) await rename(temporary, path);
  } finally {
    await source.close();
    await rm(temporary, { force: true });
  }
}

async function readLines(path: string): Promise<string[]> {
  return ((await readIfPresent(path)) ?? '').split('\n').filter((line) => line !== '');
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
