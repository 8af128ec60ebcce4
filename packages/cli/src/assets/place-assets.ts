import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import type { LiveOutput } from '../render/live-output.js';
import type { RunClient } from '../run-client.js';
import type { SpecFile } from '../spec-file.js';
import { pushAssets } from './push-assets.js';

/**
 * The run spec for a coordinator elsewhere: with the folder there of the bundle that it names here, which is pushed unless it is there.
 * The spec and the content of the bundle decide which run it is, wherever on this machine the two lie.
 * @throws {Dd2Error} ASSET_MISSING naming both ways out, and as `pushAssets`
 */
export async function placeAssets(client: RunClient, specFile: SpecFile, output?: LiveOutput): Promise<SpecFile> {
  const { spec, overrides } = specFile;
  const local = path.resolve(specFile.folder, spec.assets);
  try {
    const { folder } = await pushAssets(client, local, output);
    return { ...specFile, spec: { ...spec, assets: folder }, overrides: [...overrides, `assets=${JSON.stringify(folder)}`], folder: '' };
  } catch (thrown) {
    const error = Dd2Error.from(thrown);
    if (error.code !== 'ASSET_MISSING') throw error;
    const absent = error.field === 'assets';
    // An absolute folder that is not here is one of the coordinator's machine, such as `dd2 assets push` prints.
    if (absent && path.isAbsolute(spec.assets)) return { ...specFile, folder: '' };
    throw new Dd2Error('ASSET_MISSING', error.problem, {
      field: 'assets',
      remedy: "The coordinator is elsewhere: name an asset bundle of this machine in the run spec, it is pushed; or, for one on the coordinator's machine, say with --base-path where the spec's paths start there",
      cause: error,
    });
  }
}
