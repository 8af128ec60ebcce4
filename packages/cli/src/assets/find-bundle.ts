import { Dd2Error } from '@dd2/core';
import type { PushedAssets } from '@dd2/proto';

/**
 * The one bundle whose SHA-256 begins so.
 * @throws {Dd2Error} INVALID_ARGUMENT for what begins no hash, or several; ASSET_MISSING when there is none
 */
export function findBundle(bundles: readonly PushedAssets[], start: string): PushedAssets {
  if (!/^[0-9a-f]{1,64}$/.test(start)) {
    throw new Dd2Error('INVALID_ARGUMENT', `"${start}" does not begin a SHA-256`, { field: 'sha256', remedy: 'Use what `dd2 assets list` shows' });
  }
  const [found, another] = bundles.filter(({ manifestSha256 }) => manifestSha256.startsWith(start));
  if (!found) throw new Dd2Error('ASSET_MISSING', `no asset bundle begins with ${start}`, { field: 'sha256', remedy: 'Use what `dd2 assets list` shows' });
  if (another) throw new Dd2Error('INVALID_ARGUMENT', `several asset bundles begin with ${start}`, { field: 'sha256', remedy: 'Write more of it' });
  return found;
}
