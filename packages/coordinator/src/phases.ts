import { arDiffusionFromTeacher } from '@dd2/models';
import type { Phase, RunSpec, UpdatePlan } from '@dd2/core';
import type { OptimizerStep } from './aggregator.js';
import type { RunContext } from './run-context.js';

/**
 * What happens between two phases. Each network that the phase before has trained is replaced by its moving average;
 * after `tune` both generator and guidance network start from it (without that the generator collapses, RECIPE).
 */
export async function enterPhase(run: RunContext, previous: Phase | undefined): Promise<void> {
  const { aggregators, progress } = run;
  switch (previous) {
    case undefined: {
      await aggregators.load('generator', arDiffusionFromTeacher(run.model, run.bundle.teacher, run.spec.seed));
      for (const copy of ['generator_ema', 'guidance']) await aggregators.copy('generator', copy);
      for (const network of ['generator', 'guidance']) await resetMoments(run, network);
      break;
    }
    case 'tune':
      await aggregators.copy('generator_ema', 'guidance');
      await adoptAverage(run);
      break;
    case 'regress':
      await adoptAverage(run);
      break;
    case 'align':
    case 'distill':
      return;
  }
  progress.versions.generator += 1;
  progress.versions.guidance += 1;
  await run.publish('generator');
  await run.publish('guidance');
}

async function adoptAverage(run: RunContext): Promise<void> {
  await run.aggregators.copy('generator_ema', 'generator');
  await resetMoments(run, 'generator');
}

async function resetMoments(run: RunContext, network: string): Promise<void> {
  for (const moment of ['m', 'v']) await run.aggregators.zero(`${network}.${moment}`, network);
}

/**
 * The moving average that follows an update of the generator. `tune` and `regress` start far from where they end, so the
 * average is short at first: decay_k = min(decay, (k + 1) / (k + 10)); `distill` starts from a generator that is worth averaging.
 */
export function emaOf(plan: UpdatePlan, spec: RunSpec): OptimizerStep['ema'] {
  if (plan.network !== 'generator') return undefined;
  const { tune, regress, distill } = spec.phases;
  const warm = (plan.networkUpdate + 1) / (plan.networkUpdate + 10);
  switch (plan.phase) {
    case 'tune':
      return { vector: 'generator_ema', decay: Math.min(tune.ema, warm) };
    case 'regress':
      return { vector: 'generator_ema', decay: Math.min(regress?.ema ?? 0, warm) };
    case 'align':
    case 'distill':
      return { vector: 'generator_ema', decay: distill.ema };
  }
}
