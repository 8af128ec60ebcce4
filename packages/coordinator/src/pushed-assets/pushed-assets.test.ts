import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { makeBundle, piecesOfBundle, streamOf, type MadeBundle } from '../testing/asset-bundle.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { AssetStore } from './asset-store.js';
import { listAssets, removeAssets } from './pushed-assets.js';

let store: AssetStore;
let bundle: MadeBundle;
let folder: string;
beforeEach(async () => {
  store = await AssetStore.open({ dataDir: await temporaryFolder(), verify: () => Promise.resolve(), logger: pino({ level: 'silent' }), freeBytes: () => Promise.resolve(1e9), maxBytes: 1_000_000 });
  bundle = makeBundle();
  folder = await store.push(streamOf(piecesOfBundle(bundle)), new AbortController().signal);
});

const runs = (...ids: string[]) => ({
  needing: (assets: string) => (assets === folder ? ids : []),
  betweenSubmissions: <T>(task: () => Promise<T>) => task(),
});

describe('asset bundles that were pushed', () => {
  it('are listed with the runs that need them', async () => {
    const { bundles, maxBytes } = await listAssets(store, runs('a', 'b'));
    expect(bundles).toMatchObject([{ manifestSha256: bundle.id, name: 'made', folder, neededBy: ['a', 'b'] }]);
    expect(Number(maxBytes)).toBe(1_000_000 - Number(bundles?.[0]?.bytes));
  });

  it('are not removed while a run needs them', async () => {
    await expect(removeAssets(store, runs('a', 'b'), bundle.id)).rejects.toMatchObject({ code: 'RUN_CONFLICT', problem: expect.stringContaining('runs a, b') as string });
    expect(await store.find(bundle.id)).toMatchObject({ folder });
    expect(await removeAssets(store, runs(), bundle.id)).toEqual({ maxBytes: 1_000_000n });
    expect(await store.list()).toEqual([]);
  });

  it('are looked for only once no run is being submitted', async () => {
    const order: string[] = [];
    const slow = {
      needing: () => (order.push('asked'), []),
      betweenSubmissions: async <T>(task: () => Promise<T>) => {
        order.push('waited');
        return task();
      },
    };
    await removeAssets(store, slow, bundle.id);
    expect(order).toEqual(['waited', 'asked']);
  });
});
