import type { UpdatePlan } from '@dd2/core';
import { emaOf } from './phases.js';
import type { RunContext } from './run-context.js';
import { runProgram } from './run-program.js';
import type { UpdateMetrics } from './run-state.js';
import type { MicroBatchOutcome } from './dispatcher.js';

/**
 * The life of an update: plan -> dispatch -> collect and reduce -> optimize -> publish -> commit.
 * Every value it commits is a function of the run spec, the assets and the update's number, whoever computed what.
 */
export async function runUpdate(run: RunContext, plan: UpdatePlan, signal: AbortSignal): Promise<UpdateMetrics> {
  const started = performance.now();
  const { aggregators, dispatcher, progress } = run;
  const program = run.programs.forUpdate(plan);

  // dispatch: the workers lease the micro-batches (before them the teacher's, when it has a pool of its own); each gradient is
  // summed into its place of the tree as it arrives
  const reduction = aggregators.open(plan.update, plan.network, run.layout.size, plan.microBatches);
  const outcome = await runProgram(
    run,
    program,
    {
      seed: run.spec.seed,
      update: plan.update,
      firstSample: 0,
      microBatches: plan.microBatches,
      blocks: 'summed',
      priority: 0,
      gradient: { reduction, size: run.layout.size },
    },
    signal,
  );
  const collected = performance.now();

  // reduce: the norm of the mean gradient decides about the commit
  const gradientNorm = Math.sqrt(await reduction.complete) / plan.microBatches;
  const reduced = performance.now();
  const committed = Number.isFinite(gradientNorm);

  // optimize and publish, or leave everything as it was
  let optimized = reduced;
  if (committed) {
    const step = aggregators.optimize({
      network: plan.network,
      learningRate: plan.learningRate,
      optimizer: plan.optimizer,
      step: plan.networkUpdate,
      gradientScale: clipFactor(gradientNorm, plan.optimizer.clip) / plan.microBatches,
      ema: emaOf(plan, run.spec),
    });
    progress.versions[plan.network] += 1;
    const published = run.publish(plan.network); // queued behind the step in every aggregator
    published.catch(() => undefined); // awaited below, unless the step has failed already
    await step;
    optimized = performance.now();
    await published;
    progress.skippedInARow = 0;
  } else {
    progress.skippedUpdates += 1;
    progress.skippedInARow += 1;
  }
  progress.update = plan.update + 1;
  const finished = performance.now();

  const wallMs = finished - started;
  return {
    update: plan.update,
    phase: plan.phase,
    network: plan.network,
    at: Date.now(),
    ...(plan.cycle ? { cyclePosition: plan.cycle.position } : {}),
    generatorUpdates: plan.generatorUpdates + (plan.phase === 'distill' && plan.network === 'generator' ? 1 : 0),
    samples: plan.batch,
    committed,
    skippedUpdates: progress.skippedUpdates,
    skippedInARow: progress.skippedInARow,
    version: progress.versions[plan.network],
    learningRate: plan.learningRate,
    gradientNorm,
    losses: meanMetrics(outcome.microBatches),
    workers: dispatcher.workerCount,
    timing: {
      wallMs,
      computeMs: outcome.computeMs,
      transferMs: collected - started - outcome.computeMs,
      reduceMs: reduced - collected,
      optimizeMs: optimized - reduced,
      publishMs: finished - optimized,
      overhead: 1 - outcome.computeMs / wallMs,
    },
  };
}

/** Global-norm clipping: 1 below the limit, limit / norm above it; a limit of 0 switches it off. */
function clipFactor(norm: number, limit: number): number {
  return limit > 0 && norm > limit ? limit / norm : 1;
}

function meanMetrics(microBatches: readonly MicroBatchOutcome[]): Record<string, number> {
  const means: Record<string, number> = {};
  for (const { metrics } of microBatches) {
    for (const [name, value] of Object.entries(metrics)) means[name] = (means[name] ?? 0) + value / microBatches.length;
  }
  return means;
}
