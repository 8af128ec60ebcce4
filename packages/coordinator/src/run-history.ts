import { EventEmitter } from 'node:events';
import { totalUpdates, type Dd2Error, type RunSpec } from '@dd2/core';
import { z } from 'zod';
import type { EvaluationRecord } from './evaluate.js';
import { measured, type EvaluationPurpose } from './run-evaluations.js';
import type { RunFolder } from './run-folder.js';
import type { UpdateMetrics } from './run-state.js';

export const runStates = ['queued', 'running', 'pausing', 'paused', 'completed', 'failed', 'cancelled'] as const;
const runEventKinds = ['submitted', 'queued', 'started', 'resumed', 'phase', 'workers', 'waiting', 'evaluation', 'checkpoint', 'health', 'pausing', 'paused', 'completed', 'failed', 'cancelled', 'trouble', 'progress'] as const;
export type RunState = (typeof runStates)[number];
export type RunEventKind = (typeof runEventKinds)[number];

/** One moment of a run: an event that events.jsonl keeps (one line each), or plain progress that it does not. */
const runMomentSchema = z.object({
  /** ascending, of the last kept event for progress */
  sequence: z.number().int(),
  at: z.iso.datetime(),
  kind: z.enum(runEventKinds),
  message: z.string(),
  state: z.enum(runStates),
  phase: z.string(),
  update: z.number().int(),
  totalUpdates: z.number().int(),
  cyclePosition: z.number().int(),
  cycleLength: z.number().int(),
  cycleGuidance: z.number().int(),
  generatorUpdates: z.number().int(),
  network: z.string(),
  workers: z.number().int(),
  metrics: z.record(z.string(), measured),
  fid: measured.optional(),
  fidSamples: z.number().int().optional(),
  fidUpdate: z.number().int().optional(),
  updatesPerSecond: measured.optional(),
  etaSeconds: measured.optional(),
  error: z.object({ code: z.string(), message: z.string(), field: z.string(), remedy: z.string() }).optional(),
});
export type RunMoment = Readonly<z.infer<typeof runMomentSchema>>;

export interface RunChange {
  readonly state?: RunState;
  readonly phase?: string;
  /** where the event happened; the run may be further by now */
  readonly update?: number;
  readonly error?: Dd2Error;
  readonly fid?: number;
  readonly fidSamples?: number;
  /** of the checkpoint that fid was measured on */
  readonly fidUpdate?: number;
}

export type RunEvent = readonly [kind: RunEventKind, message: string, change: RunChange];

const endStates: ReadonlySet<RunState> = new Set(['paused', 'completed', 'failed', 'cancelled']);
/** Progress is told at most this often. */
const PROGRESS_INTERVAL_MS = 200;
/** Updates that the rate is averaged over. */
const RATE_WINDOW = 50;

/** Where a run stands and how it got there. */
export class RunHistory {
  readonly #emitter = new EventEmitter<{ moment: [RunMoment] }>().setMaxListeners(0);
  readonly #kept: RunMoment[] = [];
  readonly #finishTimes: number[] = [];
  #lastTold = -Infinity;
  #fidUpdate = -1;
  /** events are recorded one after the other, so that each one follows from the one before it */
  #recording: Promise<void> = Promise.resolve();
  state: RunState = 'queued';
  phase = '';
  network = '';
  update = 0;
  cyclePosition = 0;
  cycleLength = 0;
  cycleGuidance = 0;
  generatorUpdates = 0;
  lastFid: number | undefined;
  /** what the run waits for, in words */
  waitingFor = '';
  /** updates of the whole run; more than the spec says when guidance updates were inserted */
  totalUpdates: number;
  fidSamples = 0;
  metrics: Record<string, number> = {};
  updatedAt: string;
  /** since when it has had its place in the queue */
  queuedAt: string;
  error: RunMoment['error'];

  constructor(
    readonly identity: { readonly runId: string; readonly name: string; readonly createdAt: string },
    readonly folder: RunFolder,
    readonly spec: RunSpec,
    readonly workerCount: () => number,
  ) {
    this.updatedAt = identity.createdAt;
    this.queuedAt = identity.createdAt;
    this.totalUpdates = totalUpdates(spec);
  }

  /** Takes up the history that the run folder holds; the run is where its last event says. */
  static async open(...values: ConstructorParameters<typeof RunHistory>): Promise<RunHistory> {
    const history = new RunHistory(...values);
    for (const event of await history.folder.events()) {
      const { success, data: moment } = runMomentSchema.safeParse(event);
      if (!success || moment.sequence <= (history.#kept.at(-1)?.sequence ?? 0)) continue;
      history.#kept.push(moment);
      history.#follow(moment);
    }
    return history;
  }

  /** Keeps an event, in the file first; then the run is where the event says, and watchers hear of it. Rejects when the file cannot be written. */
  async record(kind: RunEventKind, message: string, change: RunChange): Promise<void> {
    await this.recordIf(() => [kind, message, change]);
  }

  /**
   * Records what `decide` makes of the state that the run is in when its turn comes, as `record` does: what happened until then
   * counts, not what the caller saw. @returns whether it made something of it
   */
  recordIf(decide: (state: RunState) => RunEvent | undefined): Promise<boolean> {
    const recorded = this.#recording.then(async () => {
      const event = decide(this.state);
      if (event) await this.#keep(...event);
      return event !== undefined;
    });
    this.#recording = recorded.then(() => undefined, () => undefined);
    return recorded;
  }

  async #keep(kind: RunEventKind, message: string, { state, phase, update, error, fid, fidSamples, fidUpdate }: RunChange): Promise<void> {
    const told = error && { code: error.code, message: error.message, field: error.field ?? '', remedy: error.remedy ?? '' };
    const moment: RunMoment = {
      ...this.#moment(kind, message),
      sequence: (this.#kept.at(-1)?.sequence ?? 0) + 1,
      state: state ?? this.state,
      phase: phase ?? this.phase,
      update: update ?? this.update,
      fid,
      fidSamples,
      fidUpdate,
      // What ended a run stays with it until it starts again.
      error: state === undefined ? this.error : told,
    };
    try {
      await this.folder.append('events.jsonl', moment, state !== undefined); // who is told where a run stands can rely on that
    } finally {
      this.#kept.push(moment);
      this.#placeInQueue(moment);
      if (state !== undefined) this.state = state;
      if (phase !== undefined) this.phase = phase;
      this.error = moment.error;
      this.updatedAt = moment.at;
      if (fid !== undefined) this.#measured(fid, fidSamples ?? 0, fidUpdate ?? moment.update);
      if (state === 'running' || phase !== undefined) this.#finishTimes.splice(0); // the pause before it is no part of the rate
      this.#emitter.emit('moment', moment);
    }
  }

  /** An update is committed; watchers hear of it a few times a second. */
  progress(metrics: UpdateMetrics): void {
    this.phase = metrics.phase;
    this.network = metrics.network;
    this.update = metrics.update + 1;
    this.generatorUpdates = metrics.generatorUpdates;
    const { guidance, generator } = this.spec.phases.distill.cycle;
    this.cycleLength = metrics.cyclePosition === undefined ? 0 : guidance + generator;
    this.cycleGuidance = metrics.cyclePosition === undefined ? 0 : guidance;
    this.cyclePosition = metrics.cyclePosition ?? 0;
    this.metrics = { ...metrics.losses, gradientNorm: metrics.gradientNorm, learningRate: metrics.learningRate, overhead: metrics.timing.overhead };
    const now = performance.now();
    this.#finishTimes.push(now);
    if (this.#finishTimes.length > RATE_WINDOW) this.#finishTimes.shift();
    if (now - this.#lastTold < PROGRESS_INTERVAL_MS) return;
    this.#lastTold = now;
    this.#emitter.emit('moment', this.#moment('progress', ''));
  }

  async evaluated(record: EvaluationRecord, purpose: EvaluationPurpose): Promise<void> {
    const { fid, samples, update } = record;
    await this.record('evaluation', inWords(record, purpose), purpose === 'asked' ? {} : { fid, fidSamples: samples, fidUpdate: update });
  }

  /** Whether an event tells of it. */
  knowsEvaluation(record: EvaluationRecord, purpose: EvaluationPurpose): boolean {
    const words = inWords(record, purpose);
    return this.#kept.some(({ kind, message }) => kind === 'evaluation' && message === words);
  }

  /** The events that are kept, ascending. */
  get events(): readonly RunMoment[] {
    return this.#kept;
  }

  /** Whether nothing more comes unless the run is resumed. */
  get hasEnded(): boolean {
    return endStates.has(this.state);
  }

  /** Updates a second, averaged over the last ones, while the run is being advanced. */
  get updatesPerSecond(): number | undefined {
    return this.state === 'running' || this.state === 'pausing' ? this.#rate() : undefined;
  }

  /** Seconds to the end of the run at that rate. */
  get etaSeconds(): number | undefined {
    const rate = this.updatesPerSecond;
    return rate === undefined ? undefined : (this.totalUpdates - this.update) / rate;
  }

  /** Calls `hear` with every moment from now on, as it happens. @returns what ends that */
  subscribe(hear: (moment: RunMoment) => void): () => void {
    this.#emitter.on('moment', hear);
    return () => this.#emitter.off('moment', hear);
  }

  /** Every moment after `since`, and those to come until the run ends or the signal aborts. */
  async *watch(since: number, signal: AbortSignal): AsyncGenerator<RunMoment> {
    const waiting: RunMoment[] = this.#kept.filter(({ sequence }) => sequence > since);
    let wake = (): void => undefined;
    const hear = (moment: RunMoment): void => {
      // A slow watcher gets the newest progress, and every event.
      if (moment.kind === 'progress' && waiting.at(-1)?.kind === 'progress') waiting.pop();
      waiting.push(moment);
      wake();
    };
    const leave = (): void => wake();
    this.#emitter.on('moment', hear);
    signal.addEventListener('abort', leave);
    try {
      while (!signal.aborted) {
        const moment = waiting.shift();
        if (moment) yield moment;
        else if (this.hasEnded) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#emitter.off('moment', hear);
      signal.removeEventListener('abort', leave);
    }
  }

  #moment(kind: RunEventKind, message: string): RunMoment {
    const rate = this.#rate();
    return {
      sequence: this.#kept.at(-1)?.sequence ?? 0,
      at: new Date().toISOString(),
      kind,
      message,
      state: this.state,
      phase: this.phase,
      update: this.update,
      totalUpdates: this.totalUpdates,
      cyclePosition: this.cyclePosition,
      cycleLength: this.cycleLength,
      cycleGuidance: this.cycleGuidance,
      generatorUpdates: this.generatorUpdates,
      network: this.network,
      workers: this.workerCount(),
      metrics: this.metrics,
      updatesPerSecond: rate,
      etaSeconds: rate && (this.totalUpdates - this.update) / rate,
      error: this.error,
    };
  }

  #rate(): number | undefined {
    const first = this.#finishTimes[0];
    const last = this.#finishTimes.at(-1);
    return first !== undefined && last !== undefined && last > first ? ((this.#finishTimes.length - 1) * 1000) / (last - first) : undefined;
  }

  /** A run that was interrupted keeps its place; one that is queued again comes last. */
  #placeInQueue(moment: RunMoment): void {
    if (moment.state === 'queued' && this.state !== 'queued' && this.state !== 'running') this.queuedAt = moment.at;
  }

  /** Takes over what an event of an earlier process says. */
  #follow(moment: RunMoment): void {
    this.#placeInQueue(moment);
    this.state = moment.state;
    this.phase = moment.phase;
    this.update = moment.update;
    this.network = moment.network;
    this.cyclePosition = moment.cyclePosition;
    this.cycleLength = moment.cycleLength;
    this.cycleGuidance = moment.cycleGuidance;
    this.generatorUpdates = moment.generatorUpdates;
    this.error = moment.error;
    this.updatedAt = moment.at;
    this.totalUpdates = moment.totalUpdates;
    if (moment.fid !== undefined) this.#measured(moment.fid, moment.fidSamples ?? 0, moment.fidUpdate ?? moment.update);
  }

  /** The last FID is that of the newest checkpoint measured. */
  #measured(fid: number, samples: number, update: number): void {
    if (update < this.#fidUpdate) return;
    this.lastFid = fid;
    this.fidSamples = samples;
    this.#fidUpdate = update;
  }
}

function inWords({ fid, samples, accuracy, update, sampler }: EvaluationRecord, purpose: EvaluationPurpose): string {
  const how = purpose === 'asked' ? `${sampler}, ` : '';
  return `FID ${fid.toFixed(2)} (${how}${samples} samples, accuracy ${accuracy.toFixed(3)}) after ${update} updates`;
}
