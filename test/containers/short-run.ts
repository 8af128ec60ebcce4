import { z } from 'zod';
import { checkpointHashes, runDd2, temporaryFolder } from '../support/processes.js';
import { shortRun, spec, UPDATES } from '../support/short-run.js';
import type { Cluster } from './cluster.js';
import type { Laptop } from './laptop.js';

/** seconds that it may take, on a machine that does other things as well */
const PATIENCE = 600;

const run = z.looseObject({ runId: z.string(), state: z.string() });
const checkpoints = z.array(z.looseObject({ update: z.int(), files: z.array(z.looseObject({ name: z.string(), sha256: z.string() })) }));

/** Submits the run from a laptop. Returns its id. */
export async function submit(laptop: Laptop, changes: Readonly<Record<string, string | number>> = {}): Promise<string> {
  return run.parse(JSON.parse(await laptop.dd2('run', 'submit', spec, '--json', ...shortRun(changes)))).runId;
}

/** Waits until the run is over, and returns the SHA-256 of the tensor files of its last checkpoint, as the coordinator lists them. */
export async function hashesAtTheEnd(cluster: Cluster, laptop: Laptop, runId: string): Promise<Record<string, string>> {
  await cluster.until(`${runId} is completed`, PATIENCE, async () => {
    // the coordinator may be starting again
    const shown = await laptop.dd2('run', 'show', runId, '--json').catch(() => undefined);
    const state = shown === undefined ? 'unknown' : run.parse(JSON.parse(shown)).state;
    if (state === 'failed' || state === 'cancelled') throw new Error(`${runId} is ${state}: ${shown}`);
    return state === 'completed';
  });
  const last = checkpoints.parse(JSON.parse(await laptop.dd2('checkpoint', 'list', runId, '--json'))).find(({ update }) => update === UPDATES);
  return Object.fromEntries((last?.files ?? []).filter(({ name }) => name.endsWith('.safetensors')).map(({ name, sha256 }) => [name, sha256]));
}

/** The same of the run on this machine, with one worker and no containers. */
export async function hashesOfThisMachine(): Promise<Record<string, string>> {
  const folder = await temporaryFolder();
  try {
    const { code, output } = await runDd2(['train', spec, '--workers', '1', '--no-http', '--data-dir', folder.path, ...shortRun()]);
    if (code !== 0) throw new Error(`dd2 train ended with ${code}: ${output}`);
    return await checkpointHashes(folder.path, UPDATES);
  } finally {
    await folder.dispose();
  }
}
