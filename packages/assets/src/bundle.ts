import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { bundleFiles, parseManifest, requireManifest, type BundleFile, type BundleManifest } from './bundle-manifest.js';
import { assetErrors, corruptFile, systemCode, unreadableFile, unwritableFile } from './file-errors.js';
import { replaceFolder } from './replace-folder.js';
import { readSafetensors, writeSafetensors, type FileDigest } from './safetensors.js';

/**
 * An asset bundle is a folder with everything that a distillation starts from: teacher, tokenizer, feature network,
 * tokens of the data set and feature statistics of its test images. Its manifest vouches for every file.
 */

export const MANIFEST_FILE = 'manifest.json';
export const MAX_MANIFEST_BYTES = 1024 * 1024;

export interface Bundle {
  readonly folder: string;
  readonly manifest: BundleManifest;
  /** Reads one file and compares it with the manifest on the way. @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT */
  read(file: BundleFile): Promise<Record<string, HostTensor>>;
}

export interface BundleContents {
  readonly manifest: Omit<BundleManifest, 'format' | 'files'>;
  readonly files: Readonly<Record<BundleFile, Readonly<Record<string, HostTensor>>>>;
}

/**
 * Writes a bundle. `folder` appears with all its files on disk or not at all; a bundle that was there is replaced.
 * @throws {Dd2Error} ASSET_CORRUPT when the manifest is not valid, INVALID_ARGUMENT when `folder` holds something else
 */
export async function writeBundle(folder: string, contents: BundleContents): Promise<BundleManifest> {
  return replaceFolder(folder, MANIFEST_FILE, async (temporary) => {
    const digests: [BundleFile, FileDigest][] = [];
    for (const name of bundleFiles) digests.push([name, await writeSafetensors(join(temporary, name), contents.files[name])]);
    const manifest = requireManifest({ format: 'dd2-assets/1', ...contents.manifest, files: Object.fromEntries(digests) }, join(folder, MANIFEST_FILE));
    await writeText(join(temporary, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`);
    return manifest;
  });
}

/**
 * Opens a bundle after checking its manifest and size and SHA-256 of every file.
 * @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT naming the file and the remedy
 */
export async function openBundle(folder: string): Promise<Bundle> {
  const manifest = await readBundleManifest(folder);
  for (const name of bundleFiles) await verifyFile(join(folder, name), manifest.files[name]);
  return {
    folder,
    manifest,
    read: async (name) => (await readSafetensors(join(folder, name), { expect: manifest.files[name] })).tensors,
  };
}

/** The manifest of a bundle, whose files are not looked at. @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT */
export async function readBundleManifest(folder: string): Promise<BundleManifest> {
  await requireFolder(folder);
  const path = join(folder, MANIFEST_FILE);
  return parseManifest(await readText(path), path);
}

/** A path that is simply wrong is not damage: its remedy is another path. @throws {Dd2Error} ASSET_MISSING */
async function requireFolder(folder: string): Promise<void> {
  const isFolder = await stat(folder).then((found) => found.isDirectory(), (thrown: unknown) => !['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? ''));
  if (isFolder) return;
  throw new Dd2Error('ASSET_MISSING', `there is no folder ${folder}`, {
    field: 'assets',
    remedy: `Correct the path in the run spec, or make an asset bundle there: run \`npx dd2 prepare mnist --out ${folder}\``,
    details: { file: folder },
  });
}

async function readText(path: string): Promise<string> {
  try {
    await using handle = await open(path, 'r');
    const { size } = await handle.stat();
    if (size > MAX_MANIFEST_BYTES) throw corruptFile(assetErrors, path, `the manifest has ${size} bytes, more than the limit of ${MAX_MANIFEST_BYTES}`, 'bytes');
    return await handle.readFile('utf8');
  } catch (thrown) {
    throw unreadableFile(assetErrors, path, thrown);
  }
}

async function writeText(path: string, text: string): Promise<void> {
  try {
    await using handle = await open(path, 'w');
    await handle.writeFile(text);
    await handle.sync();
  } catch (thrown) {
    throw unwritableFile(path, thrown);
  }
}

async function verifyFile(path: string, expected: FileDigest): Promise<void> {
  try {
    const { size } = await stat(path);
    if (size !== expected.bytes) throw corruptFile(assetErrors, path, `the file has ${size} bytes, its manifest says ${expected.bytes}`, 'bytes');
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) hash.update(chunk);
    if (hash.digest('hex') !== expected.sha256) throw corruptFile(assetErrors, path, 'the contents do not match the SHA-256 of the manifest', 'sha256');
  } catch (thrown) {
    throw unreadableFile(assetErrors, path, thrown);
  }
}
