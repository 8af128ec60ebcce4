import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRunSpec } from '@dd2/core';
import { arDiffusionNetwork, initialize, layoutOf } from '@dd2/models';
import { saveCheckpoint } from '../checkpoint.js';
import { ModelBundle, modelConfig } from '../model-bundle.js';
import { RunFolder } from '../run-folder.js';
import { specSha256 } from '../submission.js';
import { header, vectorsOf, writeFrom } from './checkpoint-vectors.js';
import { makeLongRun } from './long-run.js';

export interface FinishedRun {
  readonly runId: string;
  readonly specYaml: string;
  /** update of its one checkpoint */
  readonly checkpoint: number;
  /** an evaluation with a grid */
  readonly evaluationId: string;
  /** what was asked for at that checkpoint: asking again has its answer at once */
  readonly asked: { readonly update: number; readonly sampler: string; readonly samples: number; readonly noiseSeed: number };
}

/** The folder of a run with history, metrics, evaluations and a checkpoint that can be exported, as a coordinator would leave it. */
export async function makeFinishedRun(dataDir: string, runId: string, state: 'completed' | 'paused' = 'completed'): Promise<FinishedRun> {
  const { spec, fid } = makeLongRun(dataDir, 400, { runId, evaluations: 8, state });
  const folder = new RunFolder(dataDir, runId);
  const specYaml = await readFile(folder.file('spec.yaml'), 'utf8');
  const { manifest } = await ModelBundle.open(spec.assets);
  const network = arDiffusionNetwork(modelConfig(manifest, spec.model), 'generator');
  const layout = layoutOf(network);
  const update = 400;
  const last = { ...header(update), runId, specSha256: specSha256(parseRunSpec(specYaml)), phase: 'distill' as const };
  await saveCheckpoint(folder, layout, last, writeFrom({ ...vectorsOf(layout, 1), generator_ema: initialize(network, 1) }), () => Promise.resolve());
  const periodic = String(fid[0]?.update);
  const asked = { update, sampler: 'one-step', samples: 50, noiseSeed: 7 };
  const record = JSON.parse(await readFile(folder.file('evaluations', `${periodic}.json`), 'utf8')) as object;
  await writeFile(folder.file('evaluations', `${update}-one-step-50-7.json`), JSON.stringify({ ...record, update, samples: 50, noiseSeed: 7, accuracy: null }));
  return { runId, specYaml, checkpoint: update, evaluationId: periodic, asked };
}

/** Where the run's spec would be submitted from. */
export const configs = join(import.meta.dirname, '../../../../configs');
