import { EventEmitter } from 'node:events';
import { Dd2Error, schedule, totalUpdates, type RunSpec, type UpdatePlan } from '@dd2/core';
import { checkpointVectors, listCheckpoints, loadCheckpoint, retainCheckpoints, saveCheckpoint, type CheckpointHeader, type CheckpointVectors } from './checkpoint.js';
import { evaluate, sampleGrid, type EvaluationRecord, type EvaluationRequest } from './evaluate.js';
import { fromShards } from './parameter-store.js';
import { enterPhase } from './phases.js';
import type { RunContext } from './run-context.js';
import { runUpdate } from './run-update.js';
import type { UpdateMetrics } from './run-state.js';
import { ensureTargets } from './targets.js';

interface RunNotices {
  update: [UpdateMetrics];
  phase: [phase: string, update: number];
  resumed: [update: number];
  checkpoint: [update: number];
  evaluation: [EvaluationRecord];
  trouble: [what: string, error: Dd2Error];
}

/** How a run ends before its last update. */
export interface RunEnd {
  /** ends it after the update that is being computed, with a checkpoint; an update that takes too long is given up */
  readonly stop: AbortSignal;
  /** ends it at once, without a checkpoint */
  readonly cancel: AbortSignal;
  /** updates after which to stop; the whole run unless told */
  readonly until?: number;
}

/** A run that is told to stop waits this long for the update and the evaluations that are being computed. */
const STOP_PATIENCE_MS = 10_000;

/** Advances one run from its newest checkpoint to its end, one committed update after the other. */
export class Run extends EventEmitter<RunNotices> {
  /** evaluations that go on beside the updates */
  readonly #background = new Set<Promise<void>>();
  #saving: Promise<void> = Promise.resolve();
  /** update of the newest checkpoint that was loaded or written */
  #saved = 0;

  constructor(
    readonly context: RunContext,
    readonly specSha256: string,
  ) {
    super();
  }

  /**
   * Advances the run until it is done or told to end.
   * @returns whether all updates of the run, and the evaluation at its end, are done
   */
  async advance({ stop, cancel, until = Infinity }: RunEnd): Promise<boolean> {
    const { dispatcher, progress, spec } = this.context;
    const late = new AbortController();
    const giveUpLater = (): void => {
      const patience = dispatcher.workerCount === 0 ? 0 : STOP_PATIENCE_MS;
      setTimeout(() => late.abort(new Dd2Error('CANCELLED', 'the run stops')), patience).unref();
    };
    const unlessGivenUp = (error: unknown): false => {
      if (!late.signal.aborted || cancel.aborted) throw error;
      return false;
    };
    const signal = AbortSignal.any([cancel, late.signal]);
    if (stop.aborted) giveUpLater();
    stop.addEventListener('abort', giveUpLater, { once: true });
    try {
      await this.#commitUpdates(until, stop, signal).catch(unlessGivenUp);
      await this.#settle();
      cancel.throwIfAborted();
      await this.#saveNewest();
      if (progress.update < totalUpdates(spec)) return false;
      return await this.#finalEvaluation(signal).then(() => true, unlessGivenUp);
    } finally {
      stop.removeEventListener('abort', giveUpLater);
      late.abort(new Dd2Error('CANCELLED', 'the run has ended')); // what still computes has nobody left to compute for
      await this.#settle();
    }
  }

  /** The main loop. An update that is given up throws, and has committed nothing. */
  async #commitUpdates(until: number, stop: AbortSignal, signal: AbortSignal): Promise<void> {
    const { spec, progress } = this.context;
    await this.#restore(signal);
    const end = Math.min(until, totalUpdates(spec));
    while (progress.update < end && !stop.aborted) {
      const plan = schedule(progress.update, spec);
      if (plan.phaseUpdate === 0) {
        // What a checkpoint of this update holds is the state before the transition, whenever the run ends.
        if (plan.update > 0 && plan.update !== this.#saved) await this.#startCheckpoint();
        await this.#enterPhase(plan, signal);
      }
      const metrics = await runUpdate(this.context, plan, signal);
      this.#append(metrics);
      this.emit('update', metrics);
      if (this.#evaluationIsDue(plan)) await this.#startEvaluation(plan, signal);
      if (progress.update % spec.checkpoint.everyUpdates === 0) await this.#startCheckpoint();
    }
  }

  #append(metrics: UpdateMetrics): void {
    this.context.folder.append('metrics.jsonl', metrics).catch((error: unknown) => this.emit('trouble', `the metrics of update ${metrics.update} could not be written`, Dd2Error.from(error)));
  }

  /** Loads the newest checkpoint that verifies; without one the run starts at update 0. */
  async #restore(signal: AbortSignal): Promise<void> {
    const { folder, layout, progress, aggregators, spec } = this.context;
    for (const update of await listCheckpoints(folder)) {
      try {
        const { manifest, vectors } = await loadCheckpoint(folder, layout, update);
        if (manifest.specSha256 !== this.specSha256) throw new Dd2Error('CHECKPOINT_CORRUPT', 'the checkpoint belongs to another run spec', { field: folder.file('checkpoints', String(update)) });
        for (const name of checkpointVectors) await aggregators.load(name, vectors[name]);
        Object.assign(progress.versions, manifest.versions);
        progress.update = manifest.update;
        progress.skippedUpdates = manifest.skippedUpdates;
        progress.skippedInARow = manifest.skippedInARow;
        this.#saved = manifest.update;
        await this.context.publish('generator');
        await this.context.publish('guidance');
        await folder.truncateMetrics(progress.update);
        this.emit('resumed', progress.update);
        const insideRegress = progress.update < totalUpdates(spec) && schedule(progress.update, spec).phase === 'regress';
        if (insideRegress) await ensureTargets(this.context, signal);
        return;
      } catch (error) {
        if (!(error instanceof Dd2Error) || error.code !== 'CHECKPOINT_CORRUPT') throw error;
        this.emit('trouble', `checkpoint ${update} is not used`, error);
      }
    }
    await folder.truncateMetrics(0);
  }

  async #enterPhase(plan: UpdatePlan, signal: AbortSignal): Promise<void> {
    const { spec } = this.context;
    this.emit('phase', plan.phase, plan.update);
    await enterPhase(this.context, plan.update === 0 ? undefined : schedule(plan.update - 1, spec).phase);
    if (plan.phase === 'regress') await ensureTargets(this.context, signal);
  }

  /** After `tune` and `regress` the generator is measured as it enters the next phase, then every E generator updates. */
  #evaluationIsDue(plan: UpdatePlan): boolean {
    const { spec } = this.context;
    const next = plan.update + 1 < totalUpdates(spec) ? schedule(plan.update + 1, spec) : undefined;
    if (plan.phase === 'tune' || plan.phase === 'regress') return next?.phase !== plan.phase;
    return plan.network === 'generator' && (plan.generatorUpdates + 1) % spec.evaluation.everyGeneratorUpdates === 0;
  }

  /** Measures the moving average as it is now, beside the updates that follow; they wait for an evaluation before it. */
  async #startEvaluation(plan: UpdatePlan, signal: AbortSignal): Promise<void> {
    const { spec, folder } = this.context;
    await Promise.all(this.#background);
    const request = await this.#request(plan.generatorUpdates + (plan.phase === 'distill' ? 1 : 0), spec.evaluation.samples, spec.evaluation.noiseSeed);
    const release = this.context.parameters.hold(request.generator);
    const work = this.#measure(request, String(request.update), signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.emit('trouble', `the evaluation at update ${request.update} of ${folder.runId} failed`, Dd2Error.from(error));
      })
      .finally(async () => {
        await release();
        this.#background.delete(work);
      });
    this.#background.add(work);
  }

  async #finalEvaluation(signal: AbortSignal): Promise<void> {
    const { spec, progress } = this.context;
    // Noise that no evaluation before has seen: the figure is not one that the run could have been steered by.
    const request = await this.#request(spec.phases.distill.generatorUpdates, spec.evaluation.finalSamples, spec.evaluation.noiseSeed + 1);
    await this.#measure(request, `${progress.update}-final`, signal);
  }

  async #request(generatorUpdates: number, samples: number, noiseSeed: number): Promise<EvaluationRequest> {
    const generator = await this.context.snapshotAverage();
    return { sampler: { kind: 'one-step' }, samples, noiseSeed, generator, update: this.context.progress.update, generatorUpdates };
  }

  async #measure(request: EvaluationRequest, name: string, signal: AbortSignal): Promise<void> {
    const { folder } = this.context;
    const [record, grid] = await Promise.all([evaluate(this.context, request, signal), sampleGrid(this.context, request, signal)]);
    await folder.write(`evaluations/${name}.png`, grid);
    await folder.write(`evaluations/${name}.json`, `${JSON.stringify(record, null, 2)}\n`);
    this.emit('evaluation', record);
  }

  /** Copies the state and writes it beside the updates that follow; evaluations of earlier updates are on disk first. */
  async #startCheckpoint(): Promise<void> {
    const { aggregators, folder, layout, spec } = this.context;
    await this.#saving; // at most one copy of the state waits to be written
    const header = this.#checkpointHeader();
    const shards = await Promise.all(checkpointVectors.map((name) => aggregators.read(name)));
    const earlier = [...this.#background];
    this.#saving = (async () => {
      await Promise.all(earlier);
      const vectors = Object.fromEntries(checkpointVectors.map((name, index) => [name, fromShards(shards[index] ?? [])])) as CheckpointVectors;
      try {
        await saveCheckpoint(folder, layout, header, vectors);
        this.#saved = header.update;
        await retainCheckpoints(folder, spec.checkpoint.keep, new Set());
        this.emit('checkpoint', header.update);
      } catch (error) {
        this.emit('trouble', `the checkpoint of update ${header.update} could not be written`, Dd2Error.from(error));
      }
    })();
  }

  /** The checkpoint that a run ends with; unlike the ones on the way, it must not be missing. @throws {Dd2Error} RUN_FAILED */
  async #saveNewest(): Promise<void> {
    const { folder, progress } = this.context;
    if (progress.update === this.#saved) return;
    await this.#startCheckpoint();
    await this.#saving;
    if (progress.update === this.#saved) return;
    throw new Dd2Error('RUN_FAILED', `the checkpoint of update ${progress.update} could not be written`, { field: folder.file('checkpoints'), remedy: 'Is the disk full? Submit the run again to continue it' });
  }

  #checkpointHeader(): CheckpointHeader {
    const { folder, progress, spec } = this.context;
    const last = schedule(Math.max(0, progress.update - 1), spec);
    return {
      runId: folder.runId,
      specSha256: this.specSha256,
      update: progress.update,
      phase: last.phase,
      ...(last.cycle ? { cyclePosition: last.cycle.position } : {}),
      generatorUpdates: last.generatorUpdates + (last.phase === 'distill' && last.network === 'generator' ? 1 : 0),
      versions: { ...progress.versions },
      skippedUpdates: progress.skippedUpdates,
      skippedInARow: progress.skippedInARow,
    };
  }

  /** Resolves when nothing goes on beside the updates any more; failures were told as trouble. */
  async #settle(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
    await this.#saving;
  }
}

/** Refuses a spec that its assets cannot serve. @throws {Dd2Error} INVALID_SPEC */
export function requireFitting(spec: RunSpec, model: { readonly tokens: number }): void {
  const keep = spec.evaluation.multiStep.find((k) => k >= model.tokens);
  if (keep !== undefined) {
    throw new Dd2Error('INVALID_SPEC', `multi-step sampling cannot keep ${keep} of ${model.tokens} tokens`, { field: 'evaluation.multiStep', remedy: `Use values from 1 to ${model.tokens - 1}` });
  }
}
