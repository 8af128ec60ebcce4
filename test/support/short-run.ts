import { join } from 'node:path';
import { root } from './processes.js';

/** Of a run of a minute. */
export const spec = join(root, 'configs/chaos.yaml');

/** Every phase; 20 updates are distilled: 4 of alignment, and 4 cycles of 3 guidance updates and one of the generator. Each takes long enough to be struck. */
const settings = {
  'phases.tune.updates': 4,
  'phases.regress.updates': 4,
  'phases.distill.align': 4,
  'phases.distill.generatorUpdates': 4,
  'phases.distill.guidance.batch': 128,
  'phases.distill.guidance.microBatches': 8,
  'phases.distill.generator.batch': 128,
  'phases.distill.generator.microBatches': 8,
  'evaluation.everyGeneratorUpdates': 2,
  'checkpoint.everyUpdates': 5,
};

/** Of the whole run. */
export const UPDATES = 4 + 4 + 20;

/** Options that make the spec a run of a minute; `changes` are other values, and more of them. */
export function shortRun(changes: Readonly<Record<string, unknown>> = {}): string[] {
  return Object.entries({ ...settings, ...changes }).flatMap(([key, value]) => ['--set', `${key}=${String(value)}`]);
}
