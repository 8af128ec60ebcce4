import path from 'node:path';
import { Dd2Error } from '@dd2/core';
import type { CallOptions, Run } from '@dd2/proto';
import type { LocalCluster } from './cluster/local-cluster.js';
import { followRun, requireNotFailed, SUBMITTED } from './follow-run.js';
import type { LiveOutput } from './render/live-output.js';
import type { RunClient } from './run-client.js';
import { idempotencyKey, type SpecFile } from './spec-file.js';

export interface DistilOptions {
  readonly specFile: SpecFile;
  /** pause with a checkpoint once this many updates are committed */
  readonly untilUpdate?: number | undefined;
  readonly output: LiveOutput;
  /** pauses the run: the update that is being computed ends, then comes a checkpoint */
  readonly interrupted: AbortSignal;
}

/** Looks for the assets that a spec names, before anything is started. @throws {Dd2Error} ASSET_MISSING, ASSET_CORRUPT, INVALID_SPEC for a spec that they cannot serve */
export async function requireAssets({ spec, folder }: SpecFile): Promise<void> {
  const [{ openBundle }, { requireFitting }] = await Promise.all([import('@dd2/assets'), import('@dd2/coordinator')]);
  const { manifest } = await openBundle(path.resolve(folder, spec.assets));
  requireFitting(spec, manifest.model);
}

export interface SubmitOptions {
  readonly untilUpdate?: number | undefined;
  /** names the run; the spec itself does unless told */
  readonly key?: string | undefined;
  /** larger goes first in the queue */
  readonly priority?: number | undefined;
}

/** Submits a run or takes it up again; the same spec is the same run. */
export async function submit(client: RunClient, { text, overrides, folder, spec }: SpecFile, { untilUpdate, key, priority = 0 }: SubmitOptions = {}, call: CallOptions = {}): Promise<Run> {
  const request = {
    specYaml: text,
    overrides: [...overrides],
    basePath: folder,
    idempotencyKey: key ?? idempotencyKey({ ...spec, assets: path.resolve(folder, spec.assets) }),
    priority,
    ...(untilUpdate === undefined ? {} : { untilUpdate }),
  };
  const { run } = await client.submitRun(request, call);
  if (run === undefined) throw new Dd2Error('PROTOCOL', 'the coordinator answered without the run');
  return run;
}

/**
 * Advances one run on a local cluster, showing its progress, until it is done, paused or failed.
 * @throws {Dd2Error} what the run failed with, or why no worker can run here
 */
export async function distil(cluster: LocalCluster, { specFile, untilUpdate, output, interrupted }: DistilOptions): Promise<Run> {
  const { client, failed } = cluster;
  const shownFrom = new Date();
  const { runId } = await submit(client, specFile, { untilUpdate });
  output.line(`run ${runId}`);
  const pause = (): void => {
    output.line('the run is asked to pause (once more: everything ends at once)');
    client.pauseRun({ runId }).catch(() => undefined);
  };
  if (interrupted.aborted) pause();
  interrupted.addEventListener('abort', pause, { once: true });
  try {
    const run = await followRun(client, runId, { output, shownFrom, since: SUBMITTED, signal: failed });
    requireNotFailed(run);
    return run;
  } catch (thrown) {
    failed.throwIfAborted();
    throw thrown;
  } finally {
    interrupted.removeEventListener('abort', pause);
  }
}
