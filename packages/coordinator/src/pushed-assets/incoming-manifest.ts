import { MANIFEST_FILE, MAX_MANIFEST_BYTES, parseManifest, type BundleManifest } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import { sha256, type PushAssetsRequest } from '@dd2/proto';

/** A piece of a bundle that comes from another machine. */
export type AssetPiece = Pick<PushAssetsRequest, 'manifest' | 'fileName' | 'data'>;

export interface IncomingManifest {
  /** manifest.json as it came */
  readonly bytes: Uint8Array;
  /** SHA-256 of it: the name of the bundle */
  readonly id: string;
  readonly manifest: BundleManifest;
  /** of the whole bundle */
  readonly totalBytes: number;
}

/**
 * The manifest that a bundle begins with.
 * @throws {Dd2Error} PROTOCOL when the piece has something else, ASSET_CORRUPT for a manifest that is not valid, UNSUPPORTED_OPERATION
 * for one of another version
 */
export function incomingManifest({ manifest: bytes, fileName, data }: AssetPiece): IncomingManifest {
  if (bytes.byteLength === 0 || fileName !== '' || data.byteLength > 0) {
    throw new Dd2Error('PROTOCOL', 'a bundle begins with its manifest, and with nothing else', { field: MANIFEST_FILE, remedy: 'Do both sides run the same version?' });
  }
  if (bytes.byteLength > MAX_MANIFEST_BYTES) {
    throw new Dd2Error('ASSET_CORRUPT', `${MANIFEST_FILE} has ${bytes.byteLength} bytes, more than the limit of ${MAX_MANIFEST_BYTES}`, { field: MANIFEST_FILE, remedy: 'Is this an asset bundle?' });
  }
  const manifest = parse(Buffer.from(bytes).toString('utf8'));
  const totalBytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, bytes.byteLength);
  return { bytes, id: sha256([bytes]), manifest, totalBytes };
}

function parse(text: string): BundleManifest {
  try {
    return parseManifest(text, MANIFEST_FILE);
  } catch (cause) {
    if (Dd2Error.from(cause).field !== 'format') throw cause;
    throw new Dd2Error('UNSUPPORTED_OPERATION', `${MANIFEST_FILE} is of a format that this coordinator does not know`, {
      field: 'format',
      remedy: 'Use the same version of dd2 for the bundle, here and on the coordinator',
      cause,
    });
  }
}
