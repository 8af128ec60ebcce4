import { resolve } from 'node:path';
import { Dd2Error } from '@dd2/core';
import { timestampFromDate, type CheckpointSchema, type CheckpointVerdictSchema, type MessageInitShape } from '@dd2/proto';
import { listCheckpoints, loadManifest, type CheckpointManifest } from './checkpoint.js';
import type { VerifyResult, VerifyTask } from './checkpoint-verify-thread.js';
import { Places } from './places.js';
import type { RunEvaluations } from './run-evaluations.js';
import type { RunFolder } from './run-folder.js';
import { runInThread } from './task-thread.js';

type Verdict = MessageInitShape<typeof CheckpointVerdictSchema>;

/** One who verifies reads as much as the disk gives: more at once are only slower, and a thread each. */
const verifying = new Places(1);

/** The checkpoints of a run, newest first. Of one whose manifest cannot be read, nothing but the update is known. */
export async function describeCheckpoints(evaluations: RunEvaluations): Promise<MessageInitShape<typeof CheckpointSchema>[]> {
  const { folder, spec } = evaluations;
  const updates = await listCheckpoints(folder);
  const newest = new Set(updates.slice(0, spec.checkpoint.keep));
  const described = await Promise.all(
    updates.map(async (update) => {
      const manifest = await ifStillThere(folder, update);
      if (!manifest) return [];
      // What evaluations need and which is best is asked for last: it changes while manifests are read.
      const reasons = { newest: newest.has(update), best: evaluations.best?.update === update, evaluation: evaluations.held.has(update) };
      const keptFor = Object.entries(reasons).flatMap(([reason, applies]) => (applies ? [reason] : []));
      if (manifest instanceof Dd2Error) return [{ update, keptFor }];
      const { phase, generatorUpdates, createdAt, specSha256 } = manifest;
      const files = Object.entries(manifest.files).map(([name, { bytes, sha256 }]) => ({ name, bytes: BigInt(bytes), sha256 }));
      return [{ update, phase, generatorUpdates, createdAt: timestampFromDate(new Date(createdAt)), files, keptFor, specSha256 }];
    }),
  );
  return described.flat();
}

/**
 * Reads checkpoints whole, one after the other in a thread, and compares them with their manifests. None is removed meanwhile.
 * @param update one checkpoint; all unless told
 * @throws {Dd2Error} INVALID_ARGUMENT when the run has no checkpoint of that update
 */
export async function verifyCheckpoints({ folder }: RunEvaluations, update: number | undefined, signal: AbortSignal): Promise<Verdict[]> {
  const leave = await verifying.take(signal);
  try {
    return await verify(folder, update, signal);
  } finally {
    leave();
  }
}

async function verify(folder: RunFolder, update: number | undefined, signal: AbortSignal): Promise<Verdict[]> {
  const updates = await listCheckpoints(folder);
  if (update !== undefined && !updates.includes(update)) throw noCheckpoint(folder.runId, update, updates);
  using _ = folder.holds.hold(...updates);
  const task: VerifyTask = { dataDir: resolve(folder.path, '../..'), runId: folder.runId, updates: update === undefined ? updates : [update] };
  const results = task.updates.length === 0 ? [] : await runInThread<VerifyResult[]>('checkpoint-verify-thread.js', task, signal);
  const left = new Set(await listCheckpoints(folder)); // the run may have removed one in the moment before it was held
  return results.filter((result) => left.has(result.update)).map((result) => ({ ...result, intact: result.error === undefined }));
}

/** @param updates those that the run has, newest first */
export function noCheckpoint(runId: string, update: number | undefined, updates: readonly number[]): Dd2Error {
  const problem = update === undefined || updates.length === 0 ? `run ${runId} has no checkpoint yet` : `run ${runId} has no checkpoint of update ${update}`;
  return new Dd2Error('INVALID_ARGUMENT', problem, { field: 'update', remedy: updates.length === 0 ? 'Wait for its first checkpoint' : `Use one of ${updates.join(', ')}` });
}

/** What reading a manifest comes to: undefined when the checkpoint was removed meanwhile. @throws what is not in the checkpoint */
async function ifStillThere(folder: RunFolder, update: number): Promise<CheckpointManifest | Dd2Error | undefined> {
  try {
    return await loadManifest(folder, update);
  } catch (thrown) {
    if (!(thrown instanceof Dd2Error) || thrown.code !== 'CHECKPOINT_CORRUPT') throw thrown;
    return (await listCheckpoints(folder)).includes(update) ? thrown : undefined;
  }
}
