import { EventEmitter } from 'node:events';
import { removeFolder } from '@dd2/assets';
import { Dd2Error, schedule, totalUpdates, type UpdatePlan } from '@dd2/core';
import { checkpointPath, checkpointVectors, listCheckpoints, loadCheckpoint, type CheckpointHeader } from './checkpoint.js';
import { Checkpointer } from './checkpointer.js';
import { enterPhase } from './phases.js';
import type { RunContext } from './run-context.js';
import { periodicId, type EvaluationRequest, type RunEvaluations } from './run-evaluations.js';
import { runUpdate } from './run-update.js';
import type { UpdateMetrics } from './run-state.js';
import { ensureTargets } from './targets.js';
import { patience, requireFinite, TrainingHealth, type Patience } from './training-health.js';

interface RunNotices {
  update: [UpdateMetrics];
  phase: [phase: string, update: number];
  resumed: [update: number];
  checkpoint: [update: number, seconds: number];
  /** updates of the whole run, known anew */
  planned: [totalUpdates: number];
  health: [message: string];
  /** the run has ended before its last update, at the checkpoint of this one */
  ended: [update: number, reason: string];
  /** an evaluation is asked for: whoever listens has it measured */
  requested: [EvaluationRequest];
  trouble: [what: string, error: Dd2Error];
}

/** How a run ends before its last update. */
export interface RunEnd {
  /** ends it after the update that is being computed, with a checkpoint; an update that takes too long is given up */
  readonly pause: AbortSignal;
  /** ends it at once, without a checkpoint */
  readonly cancel: AbortSignal;
  /** updates after which to pause; the whole run unless told */
  readonly until?: number;
}

/** A run that is told to pause waits this long for the update that is being computed. */
const PAUSE_PATIENCE_MS = 10_000;

/** Advances one run from its newest checkpoint to its end, one committed update after the other. */
export class Run extends EventEmitter<RunNotices> {
  readonly #checkpointer: Checkpointer;
  #health: TrainingHealth;
  /** evaluations that are due and wait for their checkpoint to be written, by update */
  readonly #due = new Map<number, Promise<void>>();

  constructor(
    readonly context: RunContext,
    readonly evaluations: RunEvaluations,
    readonly specSha256: string,
    /** of the coordinator that advances the run */
    readonly epoch: bigint,
  ) {
    super();
    const { aggregators, folder, layout, spec } = context;
    this.#health = new TrainingHealth(spec);
    this.#checkpointer = new Checkpointer({
      folder,
      layout,
      aggregators,
      keep: spec.checkpoint.keep,
      held: () => [...evaluations.held, ...this.#due.keys(), ...this.#patience().needed],
      best: () => evaluations.best?.update,
      // The metrics of its updates come before a checkpoint: nobody would write them again.
      verify: async () => {
        await folder.flush('metrics.jsonl');
        await folder.verify();
      },
      onSaved: (update, seconds) => this.emit('checkpoint', update, seconds),
      onTrouble: (what, error) => this.emit('trouble', what, error),
    });
  }

  /**
   * Advances the run until it is done or told to end.
   * @returns whether all updates of the run, and its evaluations, are done
   */
  async advance({ pause, cancel, until = Infinity }: RunEnd): Promise<boolean> {
    const { dispatcher, namespace } = this.context;
    const late = new AbortController();
    const giveUpLater = (): void => {
      const idle = dispatcher.workerCount === 0 || dispatcher.waitingFor(namespace) !== undefined;
      setTimeout(() => late.abort(new Dd2Error('CANCELLED', 'the run pauses')), idle ? 0 : PAUSE_PATIENCE_MS).unref();
    };
    const unlessGivenUp = (error: unknown): false => {
      if (!late.signal.aborted || cancel.aborted) throw error;
      return false;
    };
    const signal = AbortSignal.any([cancel, late.signal]);
    if (pause.aborted) giveUpLater();
    pause.addEventListener('abort', giveUpLater, { once: true });
    try {
      await this.#commitUpdates(until, pause, signal).catch(unlessGivenUp);
      cancel.throwIfAborted();
      if (this.context.progress.update > 0) await this.#checkpointer.finish(this.#header()); // before, there may be no state yet
      await Promise.all(this.#due.values());
      if (!this.#isOver) return false;
      return await this.#complete(AbortSignal.any([pause, cancel])).then(
        () => true,
        (error: unknown) => {
          if (!pause.aborted || cancel.aborted) throw error;
          return false;
        },
      );
    } finally {
      pause.removeEventListener('abort', giveUpLater);
      late.abort(new Dd2Error('CANCELLED', 'the run has ended')); // what still computes has nobody left to compute for
      await Promise.all(this.#due.values());
      await this.#checkpointer.settled();
    }
  }

  /** The main loop. An update that is given up throws, and has committed nothing. */
  async #commitUpdates(until: number, pause: AbortSignal, signal: AbortSignal): Promise<void> {
    const { spec, progress } = this.context;
    await this.#restore(signal);
    while (progress.update < until && !this.#isOver && !pause.aborted) {
      const plan = this.#plan(progress.update);
      if (plan.phaseUpdate === 0) {
        // What a checkpoint of this update holds is the state before the transition, whenever the run ends.
        if (plan.update > 0) await this.#checkpointer.save(this.#header());
        await this.#enterPhase(plan, signal);
      }
      const metrics = await runUpdate(this.context, plan, signal);
      this.#record(metrics);
      requireFinite(spec, plan, progress);
      if (this.#evaluationIsDue(plan)) await this.#evaluateHere();
      // Checkpoints of parameters that only give gradients that are not finite must not push the good ones out.
      else if (progress.skippedInARow === 0 && progress.update % spec.checkpoint.everyUpdates === 0) await this.#checkpointer.save(this.#header());
    }
  }

  #plan(update: number): UpdatePlan {
    return schedule(update, this.context.spec, this.#health.state.inserted);
  }

  get #remaining(): number {
    const { progress, spec } = this.context;
    return totalUpdates(spec, this.#health.state.inserted) - progress.update;
  }

  /** Is there nothing left to compute? A run that goes back behind the update that it ends with has to reach that again. */
  get #isOver(): boolean {
    const early = this.#patience();
    return early.stop ? this.context.progress.update >= early.best : this.#remaining <= 0;
  }

  #record(metrics: UpdateMetrics): void {
    this.context.folder.append('metrics.jsonl', metrics).catch((error: unknown) => this.emit('trouble', `the metrics of update ${metrics.update} could not be written`, Dd2Error.from(error)));
    this.emit('update', metrics);
    for (const { kind, message } of this.#health.observe(metrics)) {
      if (kind === 'realign') this.emit('planned', this.context.progress.update + this.#remaining);
      this.emit('health', message);
    }
  }

  /** Loads the newest checkpoint that verifies; without one the run starts at update 0. */
  async #restore(signal: AbortSignal): Promise<void> {
    const { folder, layout, progress, aggregators, spec } = this.context;
    const checkpoints = await listCheckpoints(folder);
    for (const update of checkpoints) {
      try {
        const { manifest, vectors } = await loadCheckpoint(folder, layout, update);
        if (manifest.specSha256 !== this.specSha256) throw new Dd2Error('CHECKPOINT_CORRUPT', 'the checkpoint belongs to another run spec', { field: checkpointPath(folder, update) });
        const health = new TrainingHealth(spec, manifest.health);
        for (const name of checkpointVectors) await aggregators.load(name, vectors[name]);
        Object.assign(progress.versions, manifest.versions);
        progress.update = manifest.update;
        progress.skippedUpdates = manifest.skippedUpdates;
        progress.skippedInARow = manifest.skippedInARow;
        this.#health = health;
        this.#checkpointer.adopt(progress.update);
        await this.context.publish('generator');
        await this.context.publish('guidance');
        await folder.truncateMetrics(progress.update);
        this.emit('planned', progress.update + this.#remaining);
        this.emit('resumed', progress.update);
        await this.#requestLost(checkpoints);
        if (this.#remaining > 0 && this.#plan(progress.update).phase === 'regress') await ensureTargets(this.context, signal);
        return;
      } catch (error) {
        if (!(error instanceof Dd2Error) || error.code !== 'CHECKPOINT_CORRUPT') throw error;
        this.emit('trouble', `checkpoint ${update} is not used`, error);
      }
    }
    await folder.truncateMetrics(0);
  }

  /** A crash between a checkpoint and the request that it was written for must not lose the evaluation; later checkpoints may be there. */
  async #requestLost(checkpoints: readonly number[]): Promise<void> {
    const { update: newest } = this.context.progress;
    for (const update of checkpoints.filter((one) => one > 0 && one <= newest).reverse()) {
      const isKnown = update < newest && this.evaluations.find(periodicId(update)) !== undefined;
      if (!isKnown && this.#evaluationIsDue(this.#plan(update - 1))) await this.#request(update, 'periodic');
    }
  }

  async #enterPhase(plan: UpdatePlan, signal: AbortSignal): Promise<void> {
    this.emit('phase', plan.phase, plan.update);
    await enterPhase(this.context, plan.update === 0 ? undefined : this.#plan(plan.update - 1).phase);
    if (plan.phase === 'regress') await ensureTargets(this.context, signal);
  }

  /** After `tune` and `regress` the generator is measured as it enters the next phase, then every E generator updates. */
  #evaluationIsDue(plan: UpdatePlan): boolean {
    const { everyGeneratorUpdates } = this.context.spec.evaluation;
    if (plan.phase === 'tune' || plan.phase === 'regress') return this.#plan(plan.update + 1).phase !== plan.phase;
    return plan.network === 'generator' && (plan.generatorUpdates + 1) % everyGeneratorUpdates === 0;
  }

  /** Takes the checkpoint that the evaluation will measure; the updates go on while it is written, and measured. */
  async #evaluateHere(): Promise<void> {
    const { update } = this.context.progress;
    this.#due.set(update, Promise.resolve()); // the checkpoint must be kept from now on
    await this.#checkpointer.save(this.#header());
    const requested = (async () => {
      try {
        if (await this.#checkpointer.saved(update)) await this.#request(update, 'periodic');
        else this.emit('trouble', `the evaluation at update ${update} is left out`, new Dd2Error('RUN_FAILED', 'its checkpoint could not be written', { field: checkpointPath(this.context.folder, update) }));
      } catch (error) {
        this.emit('trouble', `the evaluation at update ${update} could not be asked for`, Dd2Error.from(error));
      } finally {
        this.#due.delete(update);
      }
    })();
    this.#due.set(update, requested);
  }

  async #request(update: number, purpose: 'periodic' | 'final'): Promise<void> {
    const { samples, finalSamples, noiseSeed } = this.context.spec.evaluation;
    const id = purpose === 'final' ? `${update}-final` : periodicId(update);
    // The last one has noise that no evaluation before has seen: the figure is not one that the run could have been steered by.
    await this.evaluations.request({ id, update, purpose, sampler: 'one-step', ...(purpose === 'final' ? { samples: finalSamples, noiseSeed: noiseSeed + 1 } : { samples, noiseSeed }) });
    const request = this.evaluations.find(id);
    if (request) this.emit('requested', request);
  }

  /** Waits for the curve, decides which update is the run's result, and measures that with fresh noise. */
  async #complete(signal: AbortSignal): Promise<void> {
    const { progress } = this.context;
    if (!this.#patience().stop) await this.evaluations.settled(signal);
    const early = this.#patience();
    if (early.stop) {
      await this.evaluations.dropAfter(early.after);
      await this.#endAt(early.best);
      this.emit('ended', early.best, `no evaluation after that of update ${early.best} was better, up to update ${early.after}`);
    }
    await this.#request(progress.update, 'final');
    await this.evaluations.settled(signal);
  }

  /** Whether the curve, as far as it is known without a gap, ends the run early. */
  #patience(): Patience {
    const { evaluations } = this;
    if (!this.context.spec.health?.patience) return { stop: false, needed: [] }; // asked after every update: the curve need not be gone through
    const open = [...this.#due.keys(), ...evaluations.pending.filter(({ purpose }) => purpose === 'periodic').map(({ update }) => update)];
    return patience(this.context.spec, evaluations.curve, open);
  }

  /**
   * The run ends at an earlier update: what came after it is given up, once the checkpoint of that update has proved to be good.
   * @throws {Dd2Error} RUN_FAILED when it is damaged; the next attempt computes it again
   */
  async #endAt(update: number): Promise<void> {
    const { folder, layout, progress } = this.context;
    const damage = await loadCheckpoint(folder, layout, update).then(
      () => undefined,
      (error: unknown) => Dd2Error.from(error),
    );
    if (damage && damage.code !== 'CHECKPOINT_CORRUPT') throw damage;
    await folder.verify();
    for (const later of await listCheckpoints(folder)) {
      if (later > update || (later === update && damage)) await removeFolder(checkpointPath(folder, later));
    }
    if (damage) throw new Dd2Error('RUN_FAILED', `checkpoint ${update}, which the run ends with, is damaged`, { field: damage.field, remedy: 'It is computed again', cause: damage });
    await folder.truncateMetrics(update);
    progress.update = update;
  }

  #header(): CheckpointHeader {
    const { folder, progress } = this.context;
    const last = this.#plan(Math.max(0, progress.update - 1));
    return {
      runId: folder.runId,
      epoch: Number(this.epoch),
      specSha256: this.specSha256,
      update: progress.update,
      phase: last.phase,
      ...(last.cycle ? { cyclePosition: last.cycle.position } : {}),
      generatorUpdates: last.generatorUpdates + (last.phase === 'distill' && last.network === 'generator' && progress.update > 0 ? 1 : 0),
      versions: { ...progress.versions },
      skippedUpdates: progress.skippedUpdates,
      skippedInARow: progress.skippedInARow,
      health: this.#health.state,
    };
  }
}
