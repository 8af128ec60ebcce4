import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { join, resolve } from 'node:path';
import { Dd2Error, type RunSpec } from '@dd2/core';
import { z } from 'zod';
import { advanceRun } from './advance-run.js';
import { askForEvaluations, type AskedEvaluation, type EvaluationStep } from './asked-evaluations.js';
import { measureEvaluation } from './evaluation-job.js';
import { executionKind } from './execution-kind.js';
import { ManagedRun, type Identity, type Place, type RunHost } from './managed-run.js';
import { ModelBundle } from './model-bundle.js';
import type { ParameterStore } from './parameter-store.js';
import type { JobQueue, QueueJob, QueueStore } from './queue/index.js';
import type { RunEvaluations } from './run-evaluations.js';
import { namesIn } from './run-folder.js';
import type { RunHistory, RunMoment } from './run-history.js';
import { parseSubmission, requireFitting, specSha256, type Submission } from './submission.js';

/** A run that fails, without having come any further, for a reason that may lie in its surroundings is tried so often, the second time after so long. */
const RUN_ATTEMPTS = 3;
const RUN_BACKOFF_MS = 2_000;
const EVALUATION_ATTEMPTS = 3;
const EVALUATION_BACKOFF_MS = 1_000;
/** Evaluations that are taken at once: those of a run that wait for workers of its kind must not hold up those of others. */
const EVALUATIONS_AT_ONCE = 64;
/** The queues are compared with the run folders so often, and whenever the store is back. */
const RECONCILE_MS = 10_000;

const runJobSchema = z.object({ runId: z.string() });
const evaluationJobSchema = z.object({ runId: z.string(), evaluationId: z.string() });
type RunJob = z.infer<typeof runJobSchema>;
type EvaluationJob = z.infer<typeof evaluationJobSchema>;

export interface RunManagerOptions extends Omit<RunHost, 'parameters' | 'closing' | 'reconcileSoon'> {
  /** runs that are advanced at once (default 1) */
  readonly maxRuns?: number | undefined;
  /** runs that may be queued, running or paused at once (default 1,000) */
  readonly maxOpenRuns?: number | undefined;
  /** take up what a coordinator before this one left unfinished (default true) */
  readonly resumeRuns?: boolean | undefined;
}

/**
 * The runs of a data folder: found from their folders, submitted, advanced, paused, measured, watched. What is to be done
 * follows from the folders alone; the queues say when, and are brought in line with the folders again and again.
 */
export class RunManager {
  readonly #runs = new Map<string, ManagedRun>();
  readonly #host: RunHost;
  /** from `start` on */
  #queues: { readonly runs: JobQueue<RunJob>; readonly evaluations: JobQueue<EvaluationJob> } | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** submissions wait for each other: two of the same key must become one run */
  #submitting: Promise<unknown> = Promise.resolve();
  #reconciling: Promise<void> = Promise.resolve();
  /** jobs that are being carried out */
  readonly #working = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #emitter = new EventEmitter<{ moment: [run: RunHistory, moment: RunMoment] }>().setMaxListeners(0);

  private constructor(readonly options: RunManagerOptions) {
    this.#host = { ...options, parameters: new Map<string, ParameterStore>(), closing: this.#closing.signal, reconcileSoon: () => void this.#reconcile() };
  }

  /** Finds the runs that the data folder holds. They, and those that are submitted, wait until the queues are started. */
  static async open(options: RunManagerOptions): Promise<RunManager> {
    const manager = new RunManager(options);
    for (const runId of await namesIn(join(options.dataDir, 'runs'))) {
      try {
        const run = await ManagedRun.find(manager.#host, runId);
        if (!run) continue;
        manager.#add(run);
        await manager.#takeUp(run);
      } catch (error) {
        options.logger.warn({ run: runId, err: error }, 'the folder of this run cannot be read');
      }
    }
    return manager;
  }

  /** Queues what there is to do, and does it as the queues say. */
  start(store: Pick<QueueStore, 'queue' | 'on'>): void {
    const { maxRuns = 1, logger } = this.options;
    this.#queues = {
      runs: store.queue('runs', {
        schema: runJobSchema,
        concurrency: maxRuns,
        attempts: RUN_ATTEMPTS,
        backoffMs: RUN_BACKOFF_MS,
        process: ({ data, lastAttempt }) => this.#work(data, (run) => advanceRun(run, lastAttempt)),
        onRetry: (id, error, attempt, delayMs) => logger.warn({ run: id, err: error, attempt, delayMs }, 'the run is tried again'),
      }),
      evaluations: store.queue('evaluations', {
        schema: evaluationJobSchema,
        concurrency: EVALUATIONS_AT_ONCE,
        attempts: EVALUATION_ATTEMPTS,
        backoffMs: EVALUATION_BACKOFF_MS,
        process: ({ data, lastAttempt }) => this.#work(data, (run) => measureEvaluation(run, data.evaluationId, lastAttempt)),
        onRetry: (id, error, attempt, delayMs) => logger.warn({ evaluation: id, err: error, attempt, delayMs }, 'the evaluation is tried again'),
      }),
    };
    store.on('up', this.#host.reconcileSoon);
    this.#timer = setInterval(this.#host.reconcileSoon, RECONCILE_MS);
    this.#host.reconcileSoon();
  }

  /** Newest first. */
  get runs(): readonly RunHistory[] {
    return [...this.#runs.values()].sort((a, b) => b.identity.createdAt.localeCompare(a.identity.createdAt)).map(({ history }) => history);
  }

  /** @throws {Dd2Error} RUN_NOT_FOUND */
  find(runId: string): RunHistory {
    return this.#run(runId).history;
  }

  /** Calls `hear` with every moment of every run from now on. @returns what ends that */
  subscribe(hear: (run: RunHistory, moment: RunMoment) => void): () => void {
    this.#emitter.on('moment', hear);
    return () => this.#emitter.off('moment', hear);
  }

  priorityOf(runId: string): number {
    return this.#run(runId).place.priority;
  }

  /** @throws {Dd2Error} RUN_NOT_FOUND */
  evaluationsOf(runId: string): RunEvaluations {
    return this.#run(runId).evaluations;
  }

  /** Runs that need an asset bundle: those that name it and are not over, or whose evaluations wait. */
  needing(assets: string): string[] {
    const names = (spec: RunSpec): boolean => resolve(spec.assets) === resolve(assets);
    return [...this.#runs.values()].filter(({ spec, isOpen, evaluations }) => names(spec) && (isOpen || evaluations.pending.length > 0)).map(({ runId }) => runId);
  }

  /** What workers may pull for a lease; a run that is advanced and its evaluations have a namespace each. */
  parametersOf(namespace: string): ParameterStore | undefined {
    return this.#host.parameters.get(namespace);
  }

  /**
   * Validates a run spec and queues its run. Nothing is written unless everything it names is there.
   * @throws {Dd2Error} INVALID_SPEC, INVALID_ARGUMENT, ASSET_MISSING, ASSET_CORRUPT, RUN_CONFLICT, RESOURCE_EXHAUSTED, UNAVAILABLE
   */
  submit(submission: Submission): Promise<RunHistory> {
    return this.betweenSubmissions(() => this.#submit(submission));
  }

  /** Does something while no run is submitted. */
  betweenSubmissions<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#submitting.then(task);
    this.#submitting = done.catch(() => undefined);
    return done;
  }

  async #submit(submission: Submission): Promise<RunHistory> {
    const { idempotencyKey: key, untilUpdate, priority = 0 } = submission;
    if (this.#closing.signal.aborted) throw new Dd2Error('UNAVAILABLE', 'the coordinator stops', { remedy: 'Submit the run again when it is back' });
    const spec = parseSubmission(submission);
    const known = key === '' ? undefined : [...this.#runs.values()].find(({ identity }) => identity.key === key);
    if (known && specSha256(known.spec) !== specSha256(spec)) {
      throw new Dd2Error('RUN_CONFLICT', `run ${known.runId} has the same key and another spec`, { field: 'idempotency_key', remedy: 'Use another key for another spec' });
    }
    if (known?.history.state === 'pausing') {
      throw new Dd2Error('RUN_CONFLICT', `run ${known.runId} is pausing`, { field: 'run_id', remedy: 'Submit it again when it is paused' });
    }
    const place: Place = { priority, ...(untilUpdate === undefined ? {} : { untilUpdate }) };
    const run = known ?? (await this.#create(spec, key, place));
    if (known) await known.setPlace(place);
    if (known) await requeue(known, 'the run was queued again');
    run.adopted = true;
    await this.#reconcile();
    return run.history;
  }

  async #create(spec: RunSpec, key: string, place: Place): Promise<ManagedRun> {
    const { maxOpenRuns = 1_000 } = this.options;
    const open = [...this.#runs.values()].filter(({ isOpen }) => isOpen).length;
    if (open >= maxOpenRuns) throw new Dd2Error('RESOURCE_EXHAUSTED', `${open} runs are queued, running or paused`, { field: 'runs', remedy: 'Cancel some, or wait until they are done' });
    const bundle = await ModelBundle.open(spec.assets);
    requireFitting(spec, bundle.manifest.model);
    const suffix = key === '' ? randomBytes(4).toString('hex') : createHash('sha256').update(key).digest('hex').slice(0, 8);
    const identity: Identity = { runId: `${spec.name}-${suffix}`, name: spec.name, key, createdAt: new Date().toISOString() };
    if (this.#runs.has(identity.runId)) throw new Dd2Error('RUN_CONFLICT', `there is another run ${identity.runId}`, { field: 'idempotency_key', remedy: 'Use another key' });
    const run = await ManagedRun.create(this.#host, identity, spec, place);
    this.#add(run);
    await run.history.record('submitted', `run ${run.runId} was submitted`, { state: 'queued' });
    return run;
  }

  /** Ends a run after its update with a checkpoint, or takes it out of the queue; it can be resumed. */
  async pause(runId: string): Promise<RunHistory> {
    const run = this.#run(runId);
    const { history } = run;
    let left = false;
    try {
      await history.recordIf((state) => {
        left = state === 'queued';
        if (left) return ['paused', 'the run left the queue', { state: 'paused' }];
        return state === 'running' ? ['pausing', 'the run pauses after its update, with a checkpoint', { state: 'pausing' }] : undefined;
      });
    } finally {
      if (history.state === 'pausing') run.active?.pause.abort();
    }
    if (left) await this.#removeJob(runId);
    return history;
  }

  /** Queues a run that is paused or that failed. @throws {Dd2Error} RUN_CONFLICT for one that has ended, or is about to pause */
  async resume(runId: string): Promise<RunHistory> {
    const run = this.#run(runId);
    const { history, place } = run;
    switch (history.state) {
      case 'paused':
      case 'failed':
        await run.setPlace({ priority: place.priority });
        await requeue(run, 'the run was resumed');
        run.adopted = true;
        await this.#reconcile();
        break;
      case 'pausing':
        throw new Dd2Error('RUN_CONFLICT', `run ${runId} is pausing`, { field: 'run_id', remedy: 'Resume it when it is paused' });
      case 'completed':
      case 'cancelled':
        throw new Dd2Error('RUN_CONFLICT', `run ${runId} is ${history.state}`, { field: 'run_id', remedy: 'Submit a new run' });
      case 'queued':
      case 'running':
    }
    return history;
  }

  /** Ends a run for good; its checkpoints stay. */
  async cancel(runId: string): Promise<RunHistory> {
    const run = this.#run(runId);
    const { history, evaluations } = run;
    run.active?.cancel.abort(new Dd2Error('CANCELLED', `run ${runId} was cancelled`));
    await run.active?.over; // whoever is told that it is cancelled can rely on that, and nothing more is asked for
    const cancelled = await history.recordIf(() => (run.isOpen ? ['cancelled', 'the run was cancelled', { state: 'cancelled' }] : undefined));
    if (history.state !== 'cancelled') return history;
    for (const { id } of evaluations.pending) await evaluations.withdraw(id); // before the store, which may take its time
    if (cancelled) await this.#removeJob(runId);
    return history;
  }

  /** Measures a checkpoint, see `askForEvaluations`. @throws {Dd2Error} RUN_NOT_FOUND */
  async *evaluate(runId: string, asked: AskedEvaluation, signal: AbortSignal): AsyncGenerator<EvaluationStep, void> {
    yield* askForEvaluations(this.#run(runId), asked, signal);
  }

  /** Tells every watcher that a worker has come or gone, and whether it is of use to the run. */
  workersChanged(message: string, execution: string, pool: string): void {
    for (const run of this.#runs.values()) {
      if (!run.active) continue;
      const { spec } = run;
      const wanted = executionKind(pool === 'teacher' ? (spec.teacher?.execution ?? spec.execution) : spec.execution);
      const use = wanted === execution ? '' : `; it computes on ${execution} and gets no work of this run, which is pinned to ${wanted}`;
      run.note('workers', message + use);
    }
  }

  /** What a run that is being advanced waits for has changed; nothing when it goes on. */
  waiting(namespace: string, what = ''): void {
    const run = this.#runs.get(namespace.slice(0, namespace.lastIndexOf('.')));
    if (!run?.active || run.history.waitingFor === what) return;
    // Its evaluations wait for themselves, unless nothing else of the run is left.
    if (run.active.namespace !== namespace && run.history.update < run.history.totalUpdates) return;
    run.history.waitingFor = what;
    run.note('waiting', what === '' ? 'the run goes on' : `the run waits for ${what}`);
  }

  /** Another coordinator works on the data folder: ends what is being done at once, and writes nothing more. */
  abandon(reason: unknown): void {
    this.#closing.abort(reason);
    for (const { active } of this.#runs.values()) active?.cancel.abort(reason);
  }

  /** Ends what is being done, runs with a checkpoint; who comes next takes it up where it is. */
  async close(): Promise<void> {
    this.#closing.abort(new Dd2Error('UNAVAILABLE', 'the coordinator stops'));
    clearInterval(this.#timer);
    await this.#submitting;
    for (const { active } of this.#runs.values()) active?.pause.abort();
    await Promise.all(this.#working);
    await this.#reconciling;
    for (const { folder } of this.#runs.values()) await folder.settled();
  }

  #add(run: ManagedRun): void {
    this.#runs.set(run.runId, run);
    run.history.subscribe((moment) => this.#emitter.emit('moment', run.history, moment));
  }

  #run(runId: string): ManagedRun {
    const run = this.#runs.get(runId);
    if (!run) throw new Dd2Error('RUN_NOT_FOUND', `there is no run "${runId}"`, { field: 'run_id', remedy: 'List the runs with `npx dd2 run list`' });
    return run;
  }

  /** What becomes of a run that is found: one that a coordinator before this one was advancing goes on, or is paused. */
  async #takeUp(run: ManagedRun): Promise<void> {
    const { history } = run;
    const { resumeRuns = true } = this.options;
    run.adopted = resumeRuns;
    await run.mend().catch((error: unknown) => this.options.logger.warn({ run: run.runId, err: error }, 'what a crash has left of this run could not be put in order'));
    switch (history.state) {
      case 'pausing':
        await history.record('paused', 'the coordinator ended while the run was pausing', { state: 'paused' });
        break;
      case 'running':
      case 'queued':
        if (!resumeRuns) await history.record('paused', 'the coordinator of this run has ended; it can be resumed', { state: 'paused' });
        else if (history.state === 'running') await history.record('queued', 'the coordinator was started again: the run goes on from its newest checkpoint', { state: 'queued' });
        break;
      case 'paused':
      case 'completed':
      case 'failed':
      case 'cancelled':
    }
  }

  /** Brings the queues in line with the run folders. A store that cannot be reached is tried again when it is back. */
  #reconcile(): Promise<void> {
    this.#reconciling = this.#reconciling.then(async () => {
      if (!this.#queues || this.#closing.signal.aborted) return;
      try {
        await this.#queues.runs.reconcile(this.#wantedRuns());
        await this.#queues.evaluations.reconcile(this.#wantedEvaluations());
      } catch (error) {
        this.options.logger.warn({ err: error }, 'the queue store cannot be reached; what waits is queued when it is back');
      }
    });
    return this.#reconciling;
  }

  #wantedRuns(): QueueJob<RunJob>[] {
    const wanted = [...this.#runs.values()].filter(({ history, adopted }) => adopted && (history.state === 'queued' || history.state === 'running'));
    return wanted.sort((a, b) => a.history.queuedAt.localeCompare(b.history.queuedAt)).map(({ runId, place: { priority } }) => ({ id: runId, data: { runId }, priority }));
  }

  #wantedEvaluations(): QueueJob<EvaluationJob>[] {
    const wanted = [...this.#runs.values()].filter(({ adopted }) => adopted).flatMap(({ runId, place: { priority }, evaluations }) => evaluations.pending.map((request) => ({ runId, priority, request })));
    return wanted.sort((a, b) => a.request.requestedAt.localeCompare(b.request.requestedAt)).map(({ runId, priority, request: { id } }) => ({ id: `${runId}.${id}`, data: { runId, evaluationId: id }, priority }));
  }

  async #removeJob(runId: string): Promise<void> {
    await this.#queues?.runs.remove(runId).catch((error: unknown) => this.options.logger.warn({ run: runId, err: error }, 'the job could not be taken out of the queue; it will find nothing to do'));
  }

  /** Carries out a job of a run; one that the data folder does not hold has nothing to do. */
  async #work({ runId }: RunJob, carryOut: (run: ManagedRun) => Promise<void>): Promise<void> {
    const run = this.#runs.get(runId);
    if (!run) return;
    const job = carryOut(run);
    const settled = job.catch(() => undefined);
    this.#working.add(settled);
    try {
      await job;
    } finally {
      this.#working.delete(settled);
    }
  }
}

/** Puts a run that is paused or that failed back into the queue. */
async function requeue({ history }: ManagedRun, message: string): Promise<void> {
  await history.recordIf((state) => (state === 'paused' || state === 'failed' ? ['queued', message, { state: 'queued' }] : undefined));
}
