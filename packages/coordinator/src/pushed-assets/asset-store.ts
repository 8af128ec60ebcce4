import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isLeftover, MANIFEST_FILE, openBundle, readBundleManifest, removeFolder, syncFolder } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import { fromStatus, sha256, type MessageReadable } from '@dd2/proto';
import type { Logger } from 'pino';
import { intactManifest } from '../intact-bundle.js';
import { Places } from '../places.js';
import { namesIn } from '../run-folder.js';
import { IncomingFiles, writing } from './incoming-files.js';
import { incomingManifest, type AssetPiece, type IncomingManifest } from './incoming-manifest.js';
import { bytesIn, measureRoom, requireRoom, roomFor, type Announced, type Room } from './room.js';

const DEFAULT_MAX_BYTES = 64 * 1024 ** 3;
/** a push holds a few MiB of memory and competes for the disk */
const DEFAULT_MAX_PUSHES = 4;
/** a push that is silent for so long is given up: its place is for others */
const DEFAULT_SILENCE_MS = 120_000;

export interface AssetStoreOptions {
  readonly dataDir: string;
  /** that all bundles may have together (default 64 GiB) */
  readonly maxBytes?: number | undefined;
  /** at the same time */
  readonly maxPushes?: number | undefined;
  readonly silenceMs?: number | undefined;
  /** called before every durable write: rejects when another coordinator has taken the data folder over */
  readonly verify: () => Promise<void>;
  readonly logger: Logger;
  /** free space of the disk; the file system is asked unless told */
  readonly freeBytes?: ((folder: string) => Promise<number>) | undefined;
}

/** A bundle that was pushed. */
export interface PushedBundle {
  /** SHA-256 of its manifest */
  readonly id: string;
  readonly folder: string;
  /** that its manifest gives it; empty when that cannot be read */
  readonly name: string;
  /** of all its files */
  readonly bytes: number;
  readonly pushedAt: Date;
}

/** A bundle that is under way. */
interface Push extends Announced {
  totalBytes: number;
  writtenBytes: number;
}

/**
 * Asset bundles that come from other machines: `<dataDir>/assets/<SHA-256 of manifest.json>/`. A bundle is received beside its
 * place, checked against its manifest as it arrives, and once more when it is on the disk; then it is renamed. The same bundle is
 * kept once.
 */
export class AssetStore {
  readonly #pushes = new Map<Push, Promise<string>>();
  readonly #closing = new AbortController();
  /** whoever looks at the folder to change it is alone */
  readonly #alone = new Places(1);

  private constructor(
    readonly folder: string,
    private readonly options: AssetStoreOptions,
  ) {}

  /** Removes what a coordinator before this one has not finished. */
  static async open(options: AssetStoreOptions): Promise<AssetStore> {
    const folder = join(options.dataDir, 'assets');
    const leftovers = (await namesIn(folder)).filter(isLeftover);
    if (leftovers.length > 0) await options.verify();
    for (const name of leftovers) await rm(join(folder, name), { recursive: true, force: true });
    return new AssetStore(folder, options);
  }

  /** Where a bundle is, if it is there and intact, and how large one may be that is pushed now. @throws {Dd2Error} INVALID_ARGUMENT */
  async find(manifestSha256: string): Promise<{ readonly folder: string; readonly maxBytes: bigint }> {
    const folder = this.folderOf(manifestSha256);
    const intact = await this.#isIntact(folder, manifestSha256);
    return { folder: intact ? folder : '', maxBytes: await this.maxBytes(intact ? undefined : manifestSha256) };
  }

  /** Where a bundle is when it is there. @throws {Dd2Error} INVALID_ARGUMENT for what is no hash */
  folderOf(manifestSha256: string): string {
    if (isBundle(manifestSha256)) return join(this.folder, manifestSha256);
    throw new Dd2Error('INVALID_ARGUMENT', 'this is no SHA-256', { field: 'manifest_sha256', remedy: 'Use 64 lower-case hexadecimal digits' });
  }

  /** Bytes that one more bundle may have. @param replaced a damaged bundle that it takes the place of */
  async maxBytes(replaced?: string): Promise<bigint> {
    return BigInt(Math.floor(roomFor(await this.#room(replaced))));
  }

  /** The bundles that are there, the latest first. Their files are not read: one of them may be damaged. */
  async list(): Promise<PushedBundle[]> {
    const described = await Promise.all((await namesIn(this.folder)).filter(isBundle).map((id) => describe(id, join(this.folder, id))));
    return described.flat().sort((a, b) => b.pushedAt.getTime() - a.pushedAt.getTime());
  }

  /** Removes a bundle. @throws {Dd2Error} INVALID_ARGUMENT, ASSET_MISSING, FENCED */
  async remove(manifestSha256: string): Promise<void> {
    const folder = this.folderOf(manifestSha256);
    const leave = await this.#alone.take(this.#closing.signal);
    try {
      const [bundle] = await describe(manifestSha256, folder);
      if (!bundle) throw new Dd2Error('ASSET_MISSING', 'there is no such bundle', { field: 'manifest_sha256', remedy: 'List the bundles that were pushed with `dd2 assets list`' });
      await this.options.verify();
      await removeFolder(folder);
      this.options.logger.info({ assets: folder, name: bundle.name, bytes: bundle.bytes }, 'an asset bundle was removed');
    } finally {
      leave();
    }
  }

  /**
   * Receives a bundle, and returns its folder. A bundle that is there already is not received again.
   * @throws {Dd2Error} ASSET_CORRUPT or PROTOCOL naming the file that is wrong, RESOURCE_EXHAUSTED, UNSUPPORTED_OPERATION for a
   * manifest of another version, CANCELLED, UNAVAILABLE, FENCED; nothing is left of it then
   */
  push(pieces: MessageReadable<AssetPiece>, signal: AbortSignal): Promise<string> {
    const push: Push = { totalBytes: 0, writtenBytes: 0 };
    const received = this.#push(pieces, push, signal).finally(() => this.#pushes.delete(push));
    this.#pushes.set(push, received);
    return received;
  }

  /** Ends what is under way, and removes what there is of it. */
  async close(): Promise<void> {
    this.#closing.abort(new Dd2Error('UNAVAILABLE', 'the coordinator stops', { remedy: 'Push the bundle again when it is back' }));
    await Promise.allSettled(this.#pushes.values());
  }

  async #push(pieces: MessageReadable<AssetPiece>, push: Push, signal: AbortSignal): Promise<string> {
    const { maxPushes = DEFAULT_MAX_PUSHES, silenceMs = DEFAULT_SILENCE_MS, logger } = this.options;
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    ended.throwIfAborted();
    if (this.#pushes.size >= maxPushes) {
      throw new Dd2Error('RESOURCE_EXHAUSTED', `${maxPushes} asset bundles are being pushed already`, { field: 'assets', remedy: 'Try again when they are done' });
    }
    const end = (): void => void pieces.destroy(ended.reason as Error);
    const silence = setTimeout(() => pieces.destroy(new Dd2Error('UNAVAILABLE', `nothing came for ${silenceMs / 1000} s`, { remedy: 'Push the bundle again' })), silenceMs);
    ended.addEventListener('abort', end, { once: true });
    try {
      return await this.#receive(pieces, push, ended, () => silence.refresh());
    } catch (thrown) {
      const error = fromStatus(ended.aborted ? ended.reason : thrown);
      logger.warn({ err: error }, 'an asset bundle was not taken');
      throw error;
    } finally {
      clearTimeout(silence);
      ended.removeEventListener('abort', end);
    }
  }

  async #receive(pieces: MessageReadable<AssetPiece>, push: Push, signal: AbortSignal, heard: () => void): Promise<string> {
    const started = performance.now();
    let incoming: Incoming | undefined;
    try {
      for await (const piece of pieces) {
        if (incoming) {
          await incoming.files.take(piece);
          push.writtenBytes += piece.data.byteLength;
        } else {
          const opening = incomingManifest(piece);
          const folder = join(this.folder, opening.id);
          if (await this.#isIntact(folder, opening.id)) return folder;
          await this.#announce(push, opening, signal);
          incoming = await this.#begin(folder, opening);
        }
        heard();
      }
      signal.throwIfAborted();
      if (!incoming) throw new Dd2Error('PROTOCOL', 'the bundle ended before its manifest', { field: MANIFEST_FILE, remedy: 'Do both sides run the same version?' });
      await incoming.files.end();
      await openBundle(incoming.temporary);
      await syncFolder(incoming.temporary);
      await this.#finish(incoming, signal);
      const { folder, opening } = incoming;
      this.options.logger.info({ assets: folder, name: opening.manifest.name, bytes: opening.totalBytes, seconds: (performance.now() - started) / 1_000 }, 'an asset bundle was pushed');
      return folder;
    } finally {
      await incoming?.files.close();
      if (incoming) await rm(incoming.temporary, { recursive: true, force: true });
    }
  }

  /** Takes the room that a bundle needs. @throws {Dd2Error} RESOURCE_EXHAUSTED */
  async #announce(push: Push, { id, totalBytes }: IncomingManifest, signal: AbortSignal): Promise<void> {
    const leave = await this.#alone.take(signal);
    try {
      requireRoom(totalBytes, await this.#room(id), this.folder);
      push.totalBytes = totalBytes;
    } finally {
      leave();
    }
  }

  /** @param replaced a damaged bundle that the next one takes the place of */
  async #room(replaced?: string): Promise<Room> {
    const { maxBytes = DEFAULT_MAX_BYTES, freeBytes } = this.options;
    return measureRoom(this.folder, maxBytes, this.#pushes.keys(), (name) => isBundle(name) && name !== replaced, freeBytes);
  }

  async #begin(folder: string, opening: IncomingManifest): Promise<Incoming> {
    await this.options.verify();
    const temporary = `${folder}.new-${suffix()}`;
    await writing(MANIFEST_FILE, async () => {
      await mkdir(temporary, { recursive: true });
      await writeFile(join(temporary, MANIFEST_FILE), opening.bytes, { flush: true });
    }).catch(async (error: unknown) => {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    });
    return { folder, temporary, opening, files: new IncomingFiles(temporary, opening.manifest.files) };
  }

  /** Puts a bundle into its place, unless it has come another way meanwhile; one that was damaged there goes. */
  async #finish({ folder, temporary, opening }: Incoming, signal: AbortSignal): Promise<void> {
    const leave = await this.#alone.take(signal);
    try {
      if (await this.#isIntact(folder, opening.id)) return;
      await this.options.verify();
      await removeFolder(folder);
      await this.options.verify(); // that took a while
      await rename(temporary, folder);
      await syncFolder(this.folder);
    } finally {
      leave();
    }
  }

  /** @throws {Dd2Error} INTERNAL when nobody can tell */
  async #isIntact(folder: string, id: string): Promise<boolean> {
    try {
      await intactManifest(folder);
      return sha256([await readFile(join(folder, MANIFEST_FILE))]) === id;
    } catch (thrown) {
      const error = Dd2Error.from(thrown);
      if (error.code === 'ASSET_CORRUPT') this.options.logger.warn({ assets: folder, err: error }, 'an asset bundle is damaged; pushing it again replaces it');
      if (error.code === 'ASSET_CORRUPT' || error.code === 'ASSET_MISSING') return false;
      throw error;
    }
  }
}

/** One bundle, or none: it may have been removed a moment ago. */
async function describe(id: string, folder: string): Promise<PushedBundle[]> {
  const pushedAt = await stat(folder).then(({ mtime }) => mtime, () => undefined); // when the last of its files was made
  const name = await readBundleManifest(folder).then((manifest) => manifest.name, () => '');
  return pushedAt ? [{ id, folder, name, bytes: await bytesIn(folder), pushedAt }] : [];
}

interface Incoming {
  readonly folder: string;
  readonly temporary: string;
  readonly opening: IncomingManifest;
  readonly files: IncomingFiles;
}

const isBundle = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

const suffix = (): string => randomBytes(6).toString('hex');
