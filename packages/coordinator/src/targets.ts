import { readSafetensors, writeSafetensors } from '@dd2/assets';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { sha256, tensorBytes } from '@dd2/proto';
import { rename } from 'node:fs/promises';
import type { RunContext } from './run-context.js';
import { runProgram } from './run-program.js';

const PAIRS_PER_LEASE = 250;
const FILE = 'targets.safetensors';

/**
 * The warm start's regression targets: for each pair the tokens that the teacher's ODE makes of its noise (DD1). Computed
 * on the workers once, kept in the run folder; the noise is not stored, it follows from the pair's index.
 */
export async function ensureTargets(run: RunContext, signal: AbortSignal): Promise<void> {
  const { regress } = run.spec.phases;
  if (!regress) return;
  const shape = [regress.pairs, run.model.tokens];
  // The key says what the file was computed from: another spec or teacher does not reuse it.
  const key = JSON.stringify({ seed: run.spec.seed, shape, odeSteps: regress.odeSteps, teacher: run.bundle.sha256('teacher.safetensors'), tokenizer: run.bundle.sha256('tokenizer.safetensors') });
  const tokens = (await storedTargets(run, key)) ?? (await computeTargets(run, shape, regress.odeSteps, key, signal));
  run.serve('targets.tokens', tokens);
}

async function storedTargets(run: RunContext, key: string): Promise<HostTensor | undefined> {
  try {
    const { tensors, metadata } = await readSafetensors(run.folder.file(FILE));
    const { tokens } = tensors;
    return tokens && metadata['key'] === key && metadata['sha256'] === digestOf(tokens) ? tokens : undefined;
  } catch (error) {
    if (error instanceof Dd2Error && (error.code === 'ASSET_MISSING' || error.code === 'ASSET_CORRUPT')) return undefined;
    throw error;
  }
}

async function computeTargets(run: RunContext, shape: readonly number[], odeSteps: number, key: string, signal: AbortSignal): Promise<HostTensor> {
  const [pairs = 0, n = 0] = shape;
  const batch = Math.min(PAIRS_PER_LEASE, pairs);
  const outcome = await runProgram(
    run,
    run.programs.targets(batch, odeSteps),
    {
      seed: run.spec.seed,
      update: 0,
      firstSample: 0,
      microBatches: Math.ceil(pairs / batch),
      blocks: 'single',
      priority: 0,
    },
    signal,
  );
  const data = new BigInt64Array(pairs * n);
  for (const { index, results } of outcome.microBatches) {
    const rows = results['tokens'];
    if (rows?.dtype !== 'int64') throw new Dd2Error('INTERNAL', 'the target program returned no tokens', { field: 'tokens' });
    const from = index * batch * n;
    data.set((rows.data as BigInt64Array).subarray(0, data.length - from), from);
  }
  const tokens: HostTensor<'int64'> = { dtype: 'int64', shape, data };
  await run.folder.verify();
  await writeSafetensors(run.folder.file(`${FILE}.tmp`), { tokens }, { key, sha256: digestOf(tokens) });
  await run.folder.verify();
  await rename(run.folder.file(`${FILE}.tmp`), run.folder.file(FILE));
  return tokens;
}

/** A bit that has flipped on the disk must not make another run of this one. */
function digestOf(tokens: HostTensor): string {
  return sha256([tensorBytes(tokens)]);
}
