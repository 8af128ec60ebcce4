import path from 'node:path';
import { openBundle } from '@dd2/assets';
import { Dd2Error } from '@dd2/core';
import type { Run } from '@dd2/proto';
import type { LocalCluster } from './cluster/local-cluster.js';
import { followRun, requireNotFailed } from './follow-run.js';
import type { LiveOutput } from './render/live-output.js';
import type { RunClient } from './run-client.js';
import { idempotencyKey, type SpecFile } from './spec-file.js';

export interface DistilOptions {
  readonly specFile: SpecFile;
  /** stop with a checkpoint once this many updates are committed */
  readonly untilUpdate?: number | undefined;
  readonly output: LiveOutput;
  /** asks for a clean stop: the update that is being computed ends, then comes a checkpoint */
  readonly interrupted: AbortSignal;
}

/** Looks for the assets that a spec names, before anything is started. @throws {Dd2Error} ASSET_MISSING, ASSET_CORRUPT */
export async function requireAssets({ spec, folder }: SpecFile): Promise<void> {
  await openBundle(path.resolve(folder, spec.assets));
}

/** Submits a run or takes it up again; the same spec is the same run. */
export async function submit(client: RunClient, { text, overrides, folder, spec }: SpecFile, untilUpdate?: number, key?: string): Promise<Run> {
  const { run } = await client.submitRun({
    specYaml: text,
    overrides: [...overrides],
    basePath: folder,
    idempotencyKey: key ?? idempotencyKey({ ...spec, assets: path.resolve(folder, spec.assets) }),
    ...(untilUpdate === undefined ? {} : { untilUpdate }),
  });
  if (run === undefined) throw new Dd2Error('PROTOCOL', 'the coordinator answered without the run');
  return run;
}

/**
 * Advances one run on a local cluster, showing its progress, until it is done, stopped or failed.
 * @throws {Dd2Error} what the run failed with, or why no worker can run here
 */
export async function distil(cluster: LocalCluster, { specFile, untilUpdate, output, interrupted }: DistilOptions): Promise<Run> {
  const { client, failed } = cluster;
  const shownFrom = new Date();
  const { runId } = await submit(client, specFile, untilUpdate);
  output.line(`run ${runId}`);
  const stop = (): void => {
    output.line('stopping after this update, with a checkpoint (once more: at once)');
    client.stopRun({ runId }).catch(() => undefined);
  };
  if (interrupted.aborted) stop();
  interrupted.addEventListener('abort', stop, { once: true });
  try {
    const run = await followRun(client, runId, { output, shownFrom, signal: failed });
    requireNotFailed(run);
    return run;
  } catch (thrown) {
    failed.throwIfAborted();
    throw thrown;
  } finally {
    interrupted.removeEventListener('abort', stop);
  }
}
