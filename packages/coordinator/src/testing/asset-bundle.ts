import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { bundleFiles, type BundleFile } from '@dd2/assets';
import type { AssetPiece } from '../pushed-assets/incoming-manifest.js';

/** A bundle in memory; its files are any bytes. */
export interface MadeBundle {
  readonly manifest: Buffer;
  /** SHA-256 of the manifest */
  readonly id: string;
  readonly files: Readonly<Record<BundleFile, Buffer>>;
}

export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** @param sizes bytes of the files; those that are left out have some thousands */
export function makeBundle(sizes: Partial<Record<BundleFile, number>> = {}, name = 'made', edit: (manifest: Record<string, unknown>) => unknown = (manifest) => manifest): MadeBundle {
  const files = Object.fromEntries(bundleFiles.map((file, at) => [file, randomBytes(sizes[file] ?? 3_000 + at)])) as unknown as MadeBundle['files'];
  const manifest = {
    format: 'dd2-assets/1',
    name,
    dataset: 'mnist',
    command: 'dd2 prepare mnist',
    seed: 0,
    versions: { dd2: '0.1.0', node: '20.19.0', onnxruntime: '1.30.0' },
    createdAt: '2026-01-02T03:04:05Z',
    metrics: {},
    model: { tokens: 16, dimension: 6, vocabulary: 128, classes: 10, width: 96, layers: 3, heads: 4, grid: 4, imageSize: 28 },
    files: Object.fromEntries(bundleFiles.map((file) => [file, { sha256: hashOf(files[file]), bytes: files[file].byteLength }])),
  };
  const bytes = Buffer.from(JSON.stringify(edit(manifest)));
  return { manifest: bytes, id: hashOf(bytes), files };
}

const NOTHING = Buffer.alloc(0);

/** A piece as it arrives: fields that are not set are empty. */
export const piece = (fields: Partial<AssetPiece>): AssetPiece => ({ manifest: NOTHING, fileName: '', data: NOTHING, ...fields });

/** The pieces of a file. @param cuts sizes of its chunks, over and over */
export function* piecesOfFile(fileName: string, bytes: Buffer, cuts: readonly number[] = [1_000]): Generator<AssetPiece> {
  let at = 0;
  for (let index = 0; at < bytes.byteLength || index === 0; index++) {
    const size = cuts[index % cuts.length] ?? 1;
    yield piece({ fileName: index === 0 ? fileName : '', data: bytes.subarray(at, at + size) });
    at += size;
  }
}

/** The pieces of a bundle, in order. */
export function* piecesOfBundle({ manifest, files }: MadeBundle, cuts?: readonly number[]): Generator<AssetPiece> {
  yield piece({ manifest });
  for (const name of bundleFiles) yield* piecesOfFile(name, files[name], cuts);
}

/** A stream of pieces, as of a call: it can be destroyed while the next piece is waited for. */
export function streamOf(pieces: Iterable<AssetPiece> | AsyncIterable<AssetPiece>): Readable {
  const iterator = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  const next = async (stream: Readable): Promise<void> => {
    const result: IteratorResult<AssetPiece, unknown> = await iterator.next();
    stream.push(result.done === true ? null : result.value);
  };
  return new Readable({
    objectMode: true,
    read() {
      next(this).catch((error: unknown) => this.destroy(error as Error));
    },
  });
}
