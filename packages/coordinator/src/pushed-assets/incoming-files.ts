import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, MANIFEST_FILE, systemCode, unwritableFile, type BundleFile, type BundleManifest, type FileDigest } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import { CHUNK_BYTES } from '@dd2/proto';
import type { AssetPiece } from './incoming-manifest.js';

/** names of files that nobody knows are repeated up to here */
const MAX_NAME_LENGTH = 128;
const AGAIN = 'Push the bundle again; when that does not help, make it again with `npx dd2 prepare`';

interface OpenFile {
  readonly name: BundleFile;
  readonly handle: FileHandle;
  readonly hash: Hash;
  readonly expected: FileDigest;
  bytes: number;
}

/** Writes the files of a bundle as they arrive, and compares each with the manifest on the way: what it does not declare is not written. */
export class IncomingFiles {
  readonly #missing = new Set<string>(bundleFiles);
  #open: OpenFile | undefined;

  /** @param folder is there, and has none of the files */
  constructor(
    private readonly folder: string,
    private readonly files: BundleManifest['files'],
  ) {}

  /** Resolves when the piece is written. @throws {Dd2Error} ASSET_CORRUPT or PROTOCOL naming the file, RESOURCE_EXHAUSTED for a full disk, INTERNAL */
  async take({ manifest, fileName, data }: AssetPiece): Promise<void> {
    if (manifest.byteLength > 0) throw broken('there is a second manifest', MANIFEST_FILE);
    if (fileName !== '') {
      await this.#finish();
      this.#open = await this.#begin(fileName);
    } else if (data.byteLength === 0) {
      throw broken('there is an empty piece', this.#open?.name);
    }
    const file = this.#open;
    if (!file) throw broken('there are bytes that belong to no file', MANIFEST_FILE);
    if (data.byteLength > CHUNK_BYTES) throw broken(`there is a piece of ${data.byteLength} bytes, at most ${CHUNK_BYTES} are taken`, file.name);
    const { name, handle, hash, expected } = file;
    if (file.bytes + data.byteLength > expected.bytes) throw corrupt(name, `the file has more than the ${expected.bytes} bytes that its manifest says`);
    hash.update(data);
    await writing(name, async () => {
      for (let written = 0; written < data.byteLength; ) written += (await handle.write(data, written)).bytesWritten;
    });
    file.bytes += data.byteLength;
  }

  /** Resolves when all files are complete and on the disk (fsync). @throws {Dd2Error} as `take` */
  async end(): Promise<void> {
    await this.#finish();
    const [missing] = this.#missing;
    if (missing !== undefined) throw corrupt(missing, 'the file did not come');
  }

  /** Lets go of what is open, however it ends. */
  async close(): Promise<void> {
    const file = this.#open;
    this.#open = undefined;
    await file?.handle.close();
  }

  async #begin(fileName: string): Promise<OpenFile> {
    const name = bundleFiles.find((known) => known === fileName);
    if (name === undefined) throw broken('there is a file that the manifest does not have', fileName.slice(0, MAX_NAME_LENGTH));
    if (!this.#missing.delete(name)) throw broken('the file came twice', name);
    return { name, handle: await writing(name, () => open(join(this.folder, name), 'wx')), hash: createHash('sha256'), expected: this.files[name], bytes: 0 };
  }

  async #finish(): Promise<void> {
    if (!this.#open) return;
    const { name, handle, hash, bytes, expected } = this.#open;
    if (bytes !== expected.bytes) throw corrupt(name, `the file has ${bytes} bytes, its manifest says ${expected.bytes}`);
    if (hash.digest('hex') !== expected.sha256) throw corrupt(name, 'the contents do not match the SHA-256 of the manifest');
    await writing(name, () => handle.sync());
    await this.close();
  }
}

function broken(problem: string, field: string | undefined): Dd2Error {
  return new Dd2Error('PROTOCOL', `the bundle is malformed: ${problem}`, { field, remedy: 'Do both sides run the same version?' });
}

function corrupt(name: string, problem: string): Dd2Error {
  return new Dd2Error('ASSET_CORRUPT', problem, { field: name, remedy: AGAIN });
}

/** @throws {Dd2Error} RESOURCE_EXHAUSTED for a full disk, INTERNAL when the file system refuses otherwise */
export async function writing<T>(name: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    if (!['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '')) throw unwritableFile(name, cause);
    throw new Dd2Error('RESOURCE_EXHAUSTED', "the coordinator's disk is full", { field: name, remedy: 'Free space in its data folder', cause });
  }
}
