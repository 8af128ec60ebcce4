import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleFiles, MANIFEST_FILE, openBundle } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import { CHUNK_BYTES, fromStatus, KEEPALIVE_MS, MessageSink, sha256, type MessageInitShape, type PushAssetsRequestSchema } from '@dd2/proto';
import { formatBytes } from '../render/format.js';
import type { LiveOutput } from '../render/live-output.js';
import { ifKnown, type RunClient } from '../run-client.js';

export interface PushedAssets {
  /** on the coordinator's machine, absolute */
  readonly folder: string;
  /** of the whole bundle */
  readonly bytes: number;
  /** false when the coordinator had it */
  readonly sent: boolean;
}

type Piece = MessageInitShape<typeof PushAssetsRequestSchema>;

/** A terminal shows how far it is so often. */
const STATUS_MS = 100;

/**
 * Sends an asset bundle of this machine to a coordinator that does not have it. The bundle is verified first.
 * @param output shows how far it is, to people
 * @throws {Dd2Error} ASSET_MISSING or ASSET_CORRUPT for the bundle here, UNSUPPORTED_OPERATION for a coordinator of an earlier version,
 * what the coordinator answers
 */
export async function pushAssets(client: RunClient, folder: string, output?: LiveOutput): Promise<PushedAssets> {
  const { manifest } = await openBundle(folder);
  const manifestBytes = await readFile(path.join(folder, MANIFEST_FILE));
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, manifestBytes.byteLength);
  const found = await ifKnown(client.findAssets({ manifestSha256: sha256([manifestBytes]) }));
  if (!found) {
    throw new Dd2Error('UNSUPPORTED_OPERATION', 'the coordinator is of a version that takes no asset bundles', {
      field: 'assets',
      remedy: "Upgrade it, or copy the bundle to its machine and say where with --base-path, or with the absolute folder in the run spec",
    });
  }
  if (found.folder !== '') return { folder: found.folder, bytes, sent: false };
  const { stream, response } = client.pushAssets();
  const sink = new MessageSink<Piece>(stream);
  // A TLS connection whose other side is gone may notice when its keep-alive is not answered, and nothing else would keep the process until then.
  const awake = setInterval(() => undefined, KEEPALIVE_MS);
  const show = output?.isTerminal === true ? statusOf(output, folder, bytes) : () => undefined;
  try {
    let sent = 0;
    let wanted = true;
    for await (const piece of piecesOf(folder, manifestBytes)) {
      wanted = await sink.write(piece);
      if (!wanted) break; // it has come another way meanwhile
      show((sent += (piece.manifest ?? piece.data)?.byteLength ?? 0));
    }
    if (wanted) await sink.end();
    return { folder: (await response).folder, bytes, sent: wanted };
  } catch (thrown) {
    stream.cancel();
    const { code, message, remedy } = fromStatus(thrown);
    if (code !== 'UNAVAILABLE' || remedy !== undefined) throw thrown;
    throw new Dd2Error(code, `the connection broke while the bundle was pushed: ${message}`, { remedy: 'Push it again: the coordinator keeps nothing of what came', cause: thrown });
  } finally {
    clearInterval(awake);
    sink.release();
    output?.clear();
  }
}

/** The bundle as it goes over the wire. */
export async function* piecesOf(folder: string, manifest: Uint8Array, chunkBytes = CHUNK_BYTES): AsyncGenerator<Piece> {
  yield { manifest };
  for (const name of bundleFiles) {
    let fileName = name as string;
    for await (const data of createReadStream(path.join(folder, name), { highWaterMark: chunkBytes }) as AsyncIterable<Buffer>) {
      yield { fileName, data };
      fileName = '';
    }
    if (fileName !== '') yield { fileName }; // it is empty
  }
}

function statusOf(output: LiveOutput, folder: string, bytes: number): (sent: number) => void {
  const started = performance.now();
  let shown = -Infinity;
  return (sent) => {
    const now = performance.now();
    if (now - shown < STATUS_MS && sent < bytes) return;
    shown = now;
    const rate = sent / Math.max(0.001, (now - started) / 1_000);
    output.status(`pushing ${folder}: ${formatBytes(sent)} of ${formatBytes(bytes)}, ${formatBytes(rate)}/s${sent < bytes ? '' : '; the coordinator checks it'}`);
  };
}
