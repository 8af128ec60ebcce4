import { Dd2Error } from '@dd2/core';
import { timestampFromDate, type ListAssetsResponseSchema, type MessageInitShape, type RemoveAssetsResponseSchema } from '@dd2/proto';
import type { RunManager } from '../run-manager.js';
import type { AssetStore } from './asset-store.js';

/** The asset bundles that were pushed, and which runs need them. */
export async function listAssets(assets: AssetStore, runs: Pick<RunManager, 'needing'>): Promise<MessageInitShape<typeof ListAssetsResponseSchema>> {
  const [bundles, maxBytes] = await Promise.all([assets.list(), assets.maxBytes()]);
  return {
    bundles: bundles.map(({ id, folder, name, bytes, pushedAt }) => ({ manifestSha256: id, name, folder, bytes: BigInt(bytes), pushedAt: timestampFromDate(pushedAt), neededBy: runs.needing(folder) })),
    maxBytes,
  };
}

/**
 * Removes a bundle that no run needs. No run is submitted meanwhile that would name it.
 * @throws {Dd2Error} RUN_CONFLICT naming the runs that need it, and as `AssetStore.remove`
 */
export async function removeAssets(assets: AssetStore, runs: Pick<RunManager, 'needing' | 'betweenSubmissions'>, manifestSha256: string): Promise<MessageInitShape<typeof RemoveAssetsResponseSchema>> {
  const folder = assets.folderOf(manifestSha256);
  await runs.betweenSubmissions(async () => {
    const needing = runs.needing(folder);
    if (needing.length > 0) {
      throw new Dd2Error('RUN_CONFLICT', `the bundle is needed by ${needing.length === 1 ? 'run' : 'runs'} ${needing.join(', ')}`, {
        field: 'manifest_sha256',
        remedy: 'Wait until no run needs it, or end them with `dd2 run cancel`',
      });
    }
    await assets.remove(manifestSha256);
  });
  return { maxBytes: await assets.maxBytes() };
}
