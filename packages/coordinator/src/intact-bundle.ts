import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleFiles, MANIFEST_FILE, openBundle, type BundleManifest } from '@dd2/assets';

/** Bundles that are known to be intact, by folder, for as long as their files look the same: people validate as they type. */
const intact = new Map<string, { readonly look: string; readonly manifest: BundleManifest }>();
const MAX_INTACT = 64;

/** The manifest of a bundle; its files are read and compared with it unless that was done before. @throws {Dd2Error} ASSET_MISSING, ASSET_CORRUPT */
export async function intactManifest(folder: string): Promise<BundleManifest> {
  const look = await lookOf(folder);
  const known = intact.get(folder);
  if (known?.look === look) return known.manifest;
  const { manifest } = await openBundle(folder);
  const [oldest] = intact.keys();
  if (intact.size >= MAX_INTACT && oldest !== undefined) intact.delete(oldest);
  intact.set(folder, { look, manifest });
  return manifest;
}

/** What changes when a file of the bundle is replaced, cut or removed. */
async function lookOf(folder: string): Promise<string> {
  const looks = [MANIFEST_FILE, ...bundleFiles].map((name) => stat(join(folder, name)).then(({ ino, size, mtimeMs }) => `${ino}-${size}-${mtimeMs}`, () => 'none'));
  return (await Promise.all(looks)).join();
}
