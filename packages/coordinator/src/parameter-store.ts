import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Dd2Error } from '@dd2/core';

/** One version of a network's parameters as workers pull it. */
export interface PublishedParameters {
  readonly source: string;
  readonly version: number;
  /** float32 elements */
  readonly size: number;
  /** raw float32 values */
  readonly path: string;
}

/**
 * What workers may pull: the latest version of every source, and older ones for as long as somebody holds them. Each is a
 * file in the local exchange: workers on this machine read it, others get it streamed.
 */
export class ParameterStore {
  readonly #latest = new Map<string, PublishedParameters>();
  readonly #held = new Map<PublishedParameters, number>();
  readonly #everHeld = new WeakSet<PublishedParameters>();
  /** those that are to be held are published one after the other: each must be held before the next may recycle it */
  #publishing: Promise<unknown> = Promise.resolve();

  /** @param folder of this store alone, inside the local exchange */
  constructor(readonly folder: string) {}

  async open(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
  }

  /**
   * `write` fills the file, over whatever it holds; a version that is there already, latest or held, is not written again. The
   * file of a version that nobody may name any more is recycled, since memory that is mapped already is filled several times
   * faster. A straggler that still reads it gets a mixture, for a lease that has ended. One that was held may be named again, and
   * that straggler would take its mixture for it: its file is removed.
   */
  async publish(source: string, version: number, size: number, write: (path: string) => Promise<void>): Promise<PublishedParameters> {
    const there = this.find(source, version);
    if (there) return there;
    const previous = this.#latest.get(source);
    const path = join(this.folder, `${source}-${version}`);
    if (previous && !this.#held.has(previous)) {
      if (previous.size === size && !this.#everHeld.has(previous)) await rename(previous.path, path);
      else await rm(previous.path, { force: true });
    }
    await write(path);
    const published = { source, version, size, path };
    this.#latest.set(source, published);
    return published;
  }

  /** Publishes a version and keeps it until `release` is called, whatever else is published meanwhile. */
  async publishHeld(...publication: Parameters<ParameterStore['publish']>): Promise<{ readonly published: PublishedParameters; readonly release: () => Promise<void> }> {
    const before = this.#publishing;
    const done = (async () => {
      await before.catch(() => undefined);
      const published = await this.publish(...publication);
      return { published, release: this.hold(published) };
    })();
    this.#publishing = done;
    return done;
  }

  /** @throws {Dd2Error} INTERNAL when nothing was published under that name: an error of the caller's */
  latest(source: string): PublishedParameters {
    const published = this.#latest.get(source);
    if (!published) throw new Dd2Error('INTERNAL', `no parameters "${source}" are published`, { field: source });
    return published;
  }

  find(source: string, version: number): PublishedParameters | undefined {
    const latest = this.#latest.get(source);
    if (latest?.version === version) return latest;
    return [...this.#held.keys()].find((held) => held.source === source && held.version === version);
  }

  /** Keeps that version available until the returned function is called. */
  hold(published: PublishedParameters): () => Promise<void> {
    this.#everHeld.add(published);
    this.#held.set(published, (this.#held.get(published) ?? 0) + 1);
    return async () => {
      const holders = (this.#held.get(published) ?? 1) - 1;
      if (holders > 0) {
        this.#held.set(published, holders);
        return;
      }
      this.#held.delete(published);
      if (this.#latest.get(published.source) !== published) await rm(published.path, { force: true });
    };
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The bytes of a published version in pieces of `pieceBytes`. @throws {Dd2Error} STALE_LEASE when it is no longer there */
export async function* readPublished(published: PublishedParameters, pieceBytes: number): AsyncGenerator<Uint8Array> {
  const file = await open(published.path, 'r').catch((cause: unknown) => {
    throw new Dd2Error('STALE_LEASE', 'these parameters have been replaced', { field: `${published.source} version ${published.version}`, cause });
  });
  try {
    for (let offset = 0; offset < published.size * 4; ) {
      const piece = new Uint8Array(Math.min(pieceBytes, published.size * 4 - offset));
      const { bytesRead } = await file.read(piece, 0, piece.byteLength, offset);
      if (bytesRead !== piece.byteLength) throw new Dd2Error('INTERNAL', 'a published file ends early', { field: published.path });
      yield piece;
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** Writes flat float32 values as a published file. */
export function writeFlat(flat: Float32Array): (path: string) => Promise<void> {
  return (path) => writeFile(path, new Uint8Array(flat.buffer, flat.byteOffset, flat.byteLength), { mode: 0o600 });
}
