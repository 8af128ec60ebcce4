import { createHash, randomBytes } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import { Dd2Error, parseRunSpec, phaseRanges, schedule, type RunSpec } from '@dd2/core';
import type { Logger } from 'pino';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { ContentStore } from './content-store.js';
import type { Dispatcher } from './dispatcher.js';
import { evaluateCheckpoint, type CheckpointEvaluation, type EvaluationStep } from './evaluate-checkpoint.js';
import { ModelBundle, modelConfig } from './model-bundle.js';
import { executionKind } from './execution-kind.js';
import type { LocalExchange } from './local-exchange.js';
import type { ParameterStore } from './parameter-store.js';
import { Run, requireFitting } from './run.js';
import { RunContext } from './run-context.js';
import { namesIn, RunFolder } from './run-folder.js';
import { RunHistory, type RunChange, type RunEventKind } from './run-history.js';

export interface Submission {
  readonly specYaml: string;
  readonly overrides: readonly string[];
  /** folder that the spec's relative paths start from */
  readonly basePath: string;
  /** the same key names the same run; a new run each time when empty */
  readonly idempotencyKey: string;
  readonly untilUpdate?: number | undefined;
}

/** What `run.json` keeps: the identity of a run. */
const identitySchema = z.object({ runId: z.string(), name: z.string(), key: z.string(), createdAt: z.string() });
type Identity = z.infer<typeof identitySchema>;

/** Keys are short names, overrides short lines: larger ones are a mistake or an attack. */
const MAX_KEY_LENGTH = 256;
const MAX_OVERRIDES = 256;
const MAX_OVERRIDE_LENGTH = 4_096;

interface Entry {
  readonly identity: Identity;
  readonly folder: RunFolder;
  readonly spec: RunSpec;
  readonly history: RunHistory;
  untilUpdate: number;
  /** while the run is being advanced */
  active?: { readonly stop: AbortController; readonly cancel: AbortController };
}

export interface RunManagerOptions {
  readonly dataDir: string;
  readonly dispatcher: Dispatcher;
  readonly contents: ContentStore;
  readonly exchange: LocalExchange;
  readonly logger: Logger;
}

/** The runs of a data folder: found from their folders, submitted, advanced one after the other, watched. */
export class RunManager {
  readonly #entries = new Map<string, Entry>();
  readonly #parameters = new Map<string, ParameterStore>();
  readonly #queue: Entry[] = [];
  #advancing: Promise<void> | undefined;
  /** submissions wait for each other: two of the same key must become one run */
  #submitting: Promise<unknown> = Promise.resolve();
  /** evaluations that were asked for and are not over */
  readonly #evaluating = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  private constructor(readonly options: RunManagerOptions) {}

  /** Finds the runs that the data folder holds. */
  static async open(options: RunManagerOptions): Promise<RunManager> {
    const manager = new RunManager(options);
    for (const runId of await namesIn(join(options.dataDir, 'runs'))) {
      const folder = new RunFolder(options.dataDir, runId);
      try {
        const [identity, spec] = [await folder.read('run.json'), await folder.read('spec.yaml')];
        if (identity === undefined || spec === undefined) continue;
        await manager.#add(identitySchema.parse(JSON.parse(identity)), folder, parseRunSpec(spec));
      } catch (error) {
        options.logger.warn({ run: runId, err: error }, 'the folder of this run cannot be read');
      }
    }
    return manager;
  }

  get runs(): readonly RunHistory[] {
    return [...this.#entries.values()].map(({ history }) => history).reverse();
  }

  /** @throws {Dd2Error} RUN_NOT_FOUND */
  find(runId: string): RunHistory {
    return this.#entry(runId).history;
  }

  /** What workers may pull for a lease; a run that is advanced and its evaluations have a namespace each. */
  parametersOf(namespace: string): ParameterStore | undefined {
    return this.#parameters.get(namespace);
  }

  /**
   * Validates a run spec and queues its run. Nothing is written unless everything it names is there.
   * @throws {Dd2Error} INVALID_SPEC, INVALID_ARGUMENT, ASSET_MISSING, ASSET_CORRUPT, RUN_CONFLICT, UNAVAILABLE
   */
  submit(submission: Submission): Promise<RunHistory> {
    const submitted = this.#submitting.then(() => this.#submit(submission));
    this.#submitting = submitted.catch(() => undefined);
    return submitted;
  }

  async #submit(submission: Submission): Promise<RunHistory> {
    const { idempotencyKey: key, overrides, untilUpdate = Infinity } = submission;
    if (this.#closing.signal.aborted) throw new Dd2Error('UNAVAILABLE', 'the coordinator stops', { remedy: 'Submit the run again when it is back' });
    if (key.length > MAX_KEY_LENGTH) throw new Dd2Error('INVALID_ARGUMENT', `the key has ${key.length} characters`, { field: 'idempotency_key', remedy: `Use at most ${MAX_KEY_LENGTH}` });
    if (overrides.length > MAX_OVERRIDES || overrides.some(({ length }) => length > MAX_OVERRIDE_LENGTH)) {
      throw new Dd2Error('INVALID_ARGUMENT', 'there are too many overrides, or too long ones', { field: 'overrides', remedy: 'Write them into the run spec' });
    }
    const parsed = parseRunSpec(submission.specYaml, overrides);
    const spec: RunSpec = { ...parsed, assets: isAbsolute(parsed.assets) ? parsed.assets : resolve(submission.basePath, parsed.assets) };
    const known = key === '' ? undefined : [...this.#entries.values()].find(({ identity }) => identity.key === key);
    const entry = known ?? (await this.#create(spec, key));
    if (specSha256(entry.spec) !== specSha256(spec)) {
      throw new Dd2Error('RUN_CONFLICT', `run ${entry.identity.runId} has the same key and another spec`, { field: 'idempotency_key', remedy: 'Use another key for another spec' });
    }
    const { state } = entry.history;
    if (state === 'stopping') {
      throw new Dd2Error('RUN_CONFLICT', `run ${entry.identity.runId} is stopping`, { field: 'run_id', remedy: 'Submit it again when it has stopped' });
    }
    entry.untilUpdate = untilUpdate;
    if (!known || state === 'stopped' || state === 'failed') this.#enqueue(entry);
    return entry.history;
  }

  /** The run's folder: what identifies it, complete before anybody hears of it. */
  async #create(spec: RunSpec, key: string): Promise<Entry> {
    const bundle = await ModelBundle.open(spec.assets);
    requireFitting(spec, bundle.manifest.model);
    const suffix = key === '' ? randomBytes(4).toString('hex') : createHash('sha256').update(key).digest('hex').slice(0, 8);
    const identity: Identity = { runId: `${spec.name}-${suffix}`, name: spec.name, key, createdAt: new Date().toISOString() };
    if (this.#entries.has(identity.runId)) throw new Dd2Error('RUN_CONFLICT', `there is another run ${identity.runId}`, { field: 'idempotency_key', remedy: 'Use another key' });
    const folder = new RunFolder(this.options.dataDir, identity.runId);
    await folder.create();
    await folder.write('spec.yaml', stringify(spec));
    await folder.write('run.json', `${JSON.stringify(identity, null, 2)}\n`);
    const entry = await this.#add(identity, folder, spec);
    await entry.history.record('submitted', `run ${identity.runId} was submitted`, { state: 'queued' });
    return entry;
  }

  /** Ends a run after its update with a checkpoint; it can be continued. */
  async stop(runId: string): Promise<RunHistory> {
    const entry = this.#entry(runId);
    if (entry.active) {
      entry.history.state = 'stopping';
      entry.active.stop.abort();
    } else if (this.#dequeue(entry)) await entry.history.record('stopped', 'the run left the queue', { state: 'stopped' });
    return entry.history;
  }

  /** Ends a run for good; its checkpoints stay. */
  async cancel(runId: string): Promise<RunHistory> {
    const entry = this.#entry(runId);
    if (entry.active) entry.active.cancel.abort(new Dd2Error('CANCELLED', `run ${runId} was cancelled`));
    else if (this.#dequeue(entry) || entry.history.state === 'stopped') await entry.history.record('cancelled', 'the run was cancelled', { state: 'cancelled' });
    return entry.history;
  }

  /** Measures a checkpoint of a run; see `evaluateCheckpoint`. */
  async *evaluate(runId: string, request: CheckpointEvaluation, signal: AbortSignal): AsyncGenerator<EvaluationStep, void> {
    const { folder, spec } = this.#entry(runId);
    let over = (): void => undefined;
    const evaluating = new Promise<void>((resolve) => (over = resolve));
    this.#evaluating.add(evaluating);
    try {
      const context = await this.#context(folder, spec);
      try {
        yield* evaluateCheckpoint(context, request, AbortSignal.any([signal, this.#closing.signal]));
      } finally {
        await this.#closeContext(context);
      }
    } finally {
      this.#evaluating.delete(evaluating);
      over();
    }
  }

  /** Tells every watcher that a worker has come or gone, and whether it is of use to the run. */
  workersChanged(message: string, execution: string): void {
    for (const { active, history, spec } of this.#entries.values()) {
      const wanted = executionKind(spec.execution);
      const use = wanted === execution ? '' : `; it computes on ${execution} and gets no work of this run, which is pinned to ${wanted}`;
      if (active) this.#note(history, 'workers', message + use);
    }
  }

  /** Stops what is being advanced, with a checkpoint. */
  async close(): Promise<void> {
    this.#closing.abort(new Dd2Error('UNAVAILABLE', 'the coordinator stops'));
    await this.#submitting;
    this.#queue.splice(0);
    for (const { active } of this.#entries.values()) active?.stop.abort();
    await this.#advancing;
    await Promise.all(this.#evaluating);
    for (const { folder } of this.#entries.values()) await folder.settled();
  }

  #entry(runId: string): Entry {
    const entry = this.#entries.get(runId);
    if (!entry) throw new Dd2Error('RUN_NOT_FOUND', `there is no run "${runId}"`, { field: 'run_id', remedy: 'List the runs with `npx dd2 run list`' });
    return entry;
  }

  async #add(identity: Identity, folder: RunFolder, spec: RunSpec): Promise<Entry> {
    const history = await RunHistory.open(identity, folder, spec, () => this.options.dispatcher.workerCount);
    const entry: Entry = { identity, folder, spec, history, untilUpdate: Infinity };
    this.#entries.set(identity.runId, entry);
    return entry;
  }

  #enqueue(entry: Entry): void {
    entry.history.state = 'queued';
    this.#queue.push(entry);
    this.#advancing ??= this.#advanceQueue().finally(() => (this.#advancing = undefined));
  }

  /** Takes a run out of the queue, if it is there. */
  #dequeue(entry: Entry): boolean {
    const index = this.#queue.indexOf(entry);
    if (index >= 0) this.#queue.splice(index, 1);
    return index >= 0;
  }

  /** Never rejects: what happens to a run is in its history. */
  async #advanceQueue(): Promise<void> {
    for (let entry = this.#queue.shift(); entry; entry = this.#queue.shift()) await this.#advance(entry);
  }

  /** Advances a run until it is done, stopped, cancelled or failed. */
  async #advance(entry: Entry): Promise<void> {
    const { history, folder, identity, spec } = entry;
    const logger = this.options.logger.child({ run: identity.runId });
    // Before anything is awaited: from here on the run is no longer in the queue.
    const { stop, cancel } = (entry.active = { stop: new AbortController(), cancel: new AbortController() });
    try {
      const context = await this.#context(folder, spec);
      try {
        const run = new Run(context, specSha256(spec));
        this.#listen(run, history, logger);
        await history.record('started', `the run starts with ${describePhases(spec)}`, { state: 'running' });
        const completed = await run.advance({ stop: stop.signal, cancel: cancel.signal, until: entry.untilUpdate });
        await history.record(completed ? 'completed' : 'stopped', completed ? 'all updates are done' : `stopped after ${history.update} updates`, { state: completed ? 'completed' : 'stopped' });
      } finally {
        await this.#closeContext(context);
      }
    } catch (thrown) {
      const error = Dd2Error.from(thrown, 'RUN_FAILED');
      if (!cancel.signal.aborted) logger.error({ err: error, ...error.details }, 'the run failed');
      await (cancel.signal.aborted ? history.record('cancelled', error.message, { state: 'cancelled' }) : history.record('failed', error.message, { state: 'failed', error })).catch((unwritten: unknown) => {
        logger.error({ err: unwritten }, 'the end of the run could not be written to its history');
      });
    } finally {
      delete entry.active;
    }
  }

  /** What advancing or evaluating a run needs; workers find its parameters until it is closed. */
  async #context(folder: RunFolder, spec: RunSpec): Promise<RunContext> {
    const { dispatcher, contents, exchange } = this.options;
    const bundle = await ModelBundle.open(spec.assets);
    const namespace = `${folder.runId}.${randomBytes(4).toString('hex')}`;
    const context = await new RunContext(folder, spec, bundle, modelConfig(bundle.manifest, spec.model), dispatcher, contents, exchange, namespace).open();
    this.#parameters.set(namespace, context.parameters);
    return context;
  }

  async #closeContext(context: RunContext): Promise<void> {
    this.#parameters.delete(context.namespace);
    await context.close();
  }

  #listen(run: Run, history: RunHistory, logger: Logger): void {
    run.on('update', (metrics) => history.progress(metrics));
    run.on('phase', (phase, update) => this.#note(history, 'phase', `phase ${phase} starts at update ${update}`, { phase }));
    run.on('resumed', (update) => this.#note(history, 'resumed', `continues after update ${update}`, { update }));
    run.on('checkpoint', (update) => this.#note(history, 'checkpoint', `checkpoint ${update} is complete`));
    run.on('evaluation', (record) => this.#told(history, history.evaluated(record)));
    run.on('trouble', (what, error) => {
      logger.warn({ err: error }, what);
      this.#note(history, 'trouble', `${what}: ${error.message}`);
    });
  }

  /** Records an event that nothing waits for; the end of the run, recorded after it, does. */
  #note(history: RunHistory, kind: RunEventKind, message: string, change: RunChange = {}): void {
    this.#told(history, history.record(kind, message, change));
  }

  #told({ identity }: RunHistory, recorded: Promise<void>): void {
    recorded.catch((error: unknown) => this.options.logger.error({ run: identity.runId, err: error }, 'an event could not be written to the history'));
  }
}

/** Identifies a spec's content, whatever its formatting. */
export function specSha256(spec: RunSpec): string {
  return createHash('sha256').update(JSON.stringify(spec)).digest('hex');
}

function describePhases(spec: RunSpec): string {
  const { guidance, generator } = spec.phases.distill.cycle;
  const phases = phaseRanges(spec).map(({ phase, from, to }) => `${phase} ${to - from}`);
  return `${phases.join(', ')} updates; cycle ${guidance} guidance : ${generator} generator; ${schedule(0, spec).microBatches} micro-batches`;
}
