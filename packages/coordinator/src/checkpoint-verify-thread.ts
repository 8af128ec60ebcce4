import { Dd2Error } from '@dd2/core';
import { requireIntact } from './checkpoint.js';
import { RunFolder } from './run-folder.js';
import { carryOut } from './task-thread.js';

/** Which checkpoints to read. */
export interface VerifyTask {
  readonly dataDir: string;
  readonly runId: string;
  readonly updates: readonly number[];
}

/** What is wrong with a checkpoint, if anything. */
export interface VerifyResult {
  readonly update: number;
  readonly error?: { readonly code: string; readonly message: string; readonly field: string; readonly remedy: string };
}

await carryOut(async ({ dataDir, runId, updates }: VerifyTask) => {
  const folder = new RunFolder(dataDir, runId);
  const results: VerifyResult[] = [];
  for (const update of updates) {
    try {
      await requireIntact(folder, update);
      results.push({ update });
    } catch (thrown) {
      if (!(thrown instanceof Dd2Error) || thrown.code !== 'CHECKPOINT_CORRUPT') throw thrown;
      const { code, message, field = '', remedy = '' } = thrown;
      results.push({ update, error: { code, message, field, remedy } });
    }
  }
  return results;
});
