import { randomBytes } from 'node:crypto';
import { parseRunSpec, type RunSpec } from '@dd2/core';
import type { Logger } from 'pino';
import { stringify } from 'yaml';
import { z } from 'zod';
import { removeLeftovers } from './checkpoint.js';
import type { ContentStore } from './content-store.js';
import type { Dispatcher } from './dispatcher.js';
import type { LocalExchange } from './local-exchange.js';
import type { RunActivity } from './observe/run-activity.js';
import { ModelBundle, modelConfig } from './model-bundle.js';
import { ModelContext, type ModelContextOptions } from './model-context.js';
import type { ParameterStore } from './parameter-store.js';
import { Places } from './places.js';
import { RunEvaluations } from './run-evaluations.js';
import { RunFolder } from './run-folder.js';
import { RunHistory, type RunChange, type RunEventKind } from './run-history.js';

/** What `run.json` keeps: the identity of a run. */
const identitySchema = z.object({ runId: z.string(), name: z.string(), key: z.string(), createdAt: z.iso.datetime() });
export type Identity = z.infer<typeof identitySchema>;

/** What `queue.json` keeps: what was asked for when the run was queued last. */
const placeSchema = z.object({ priority: z.number().int(), untilUpdate: z.number().int().optional() });
export type Place = z.infer<typeof placeSchema>;

/** Evaluations of one run that are measured at the same time. */
const EVALUATIONS_AT_ONCE = 2;

/** What the runs of a coordinator share. */
export interface RunHost {
  readonly dataDir: string;
  readonly dispatcher: Dispatcher;
  readonly contents: ContentStore;
  readonly exchange: LocalExchange;
  readonly logger: Logger;
  /** the coordinator's place in the succession, see `Fence` */
  readonly epoch: bigint;
  /** counts what the runs do */
  readonly activity?: RunActivity | undefined;
  /** rejects when another coordinator has taken over */
  readonly verify?: (() => Promise<void>) | undefined;
  /** what workers may pull, by namespace */
  readonly parameters: Map<string, ParameterStore>;
  /** fires when the coordinator stops, or another has taken over: no job is begun, jobs that end go back into their queue */
  readonly closing: AbortSignal;
  /** Has the queues follow what the run folders ask for now. */
  readonly reconcileSoon: () => void;
}

/** A run that a coordinator knows: its folder, what that tells, and what is being done about it. */
export class ManagedRun {
  /** Whether this coordinator looks after what the run still asks for; runs of others are left alone when it does not resume. */
  adopted = false;
  /** while the run is being advanced */
  active?: {
    readonly pause: AbortController;
    readonly cancel: AbortController;
    readonly over: Promise<void>;
    /** of the context that it is advanced with */
    namespace?: string;
  };
  /** update after which it failed last: one that has come further since may fail as often again */
  failedAt = -1;
  /** Each evaluation that is being measured holds parameters; one that waits for workers holds up others of its run only. */
  readonly measuringPlaces = new Places(EVALUATIONS_AT_ONCE);
  /** what its evaluations share, for as long as there is one */
  #measuring: { readonly context: Promise<ModelContext>; users: number } | undefined;

  private constructor(
    readonly host: RunHost,
    readonly identity: Identity,
    readonly folder: RunFolder,
    readonly spec: RunSpec,
    readonly history: RunHistory,
    readonly evaluations: RunEvaluations,
    public place: Place,
  ) {}

  /** Finds a run from its folder; nothing when a crash has left it without what identifies it. */
  static async find(host: RunHost, runId: string): Promise<ManagedRun | undefined> {
    const folder = new RunFolder(host.dataDir, runId, host.verify);
    const [identity, spec, place] = [await folder.read('run.json'), await folder.read('spec.yaml'), await folder.read('queue.json')];
    if (identity === undefined || spec === undefined) return undefined;
    return ManagedRun.#open(host, identitySchema.parse(JSON.parse(identity)), folder, parseRunSpec(spec), parsePlace(place));
  }

  /** Makes the run's folder: what identifies it, complete before anybody hears of it. */
  static async create(host: RunHost, identity: Identity, spec: RunSpec, place: Place): Promise<ManagedRun> {
    const folder = new RunFolder(host.dataDir, identity.runId, host.verify);
    await folder.create();
    await folder.write('spec.yaml', stringify(spec));
    await folder.write('queue.json', toJson(place));
    await folder.write('run.json', toJson(identity));
    await folder.flushNames();
    return ManagedRun.#open(host, identity, folder, spec, place);
  }

  static async #open(host: RunHost, identity: Identity, folder: RunFolder, spec: RunSpec, place: Place): Promise<ManagedRun> {
    const history = await RunHistory.open(identity, folder, spec, () => host.dispatcher.workerCount);
    return new ManagedRun(host, identity, folder, spec, history, await RunEvaluations.open(folder, spec), place);
  }

  /** Finishes what a coordinator that was killed was about to do in the run's folder. */
  async mend(): Promise<void> {
    const { folder, history, evaluations } = this;
    await removeLeftovers(folder);
    await folder.removeTemporaries();
    await evaluations.finish(async (record, purpose) => {
      if (!history.knowsEvaluation(record, purpose)) await history.evaluated(record, purpose);
    });
    const cancelledAt = history.state === 'cancelled' ? history.events.findLast(({ kind }) => kind === 'cancelled')?.at : undefined;
    for (const { id, requestedAt } of evaluations.pending) if (cancelledAt !== undefined && requestedAt <= cancelledAt) await evaluations.withdraw(id);
  }

  get runId(): string {
    return this.identity.runId;
  }

  /** Whether it has not ended: what it holds is still needed. */
  get isOpen(): boolean {
    const { state } = this.history;
    return state === 'queued' || state === 'running' || state === 'pausing' || state === 'paused';
  }

  async setPlace(place: Place): Promise<void> {
    this.place = place;
    await this.folder.write('queue.json', toJson(place));
  }

  /** Records an event that nothing waits for; the end of the run, recorded after it, does. */
  note(kind: RunEventKind, message: string, change: RunChange = {}): void {
    void this.told(this.history.record(kind, message, change));
  }

  /** Waits for an event to be recorded; one that cannot be is the log's to tell. */
  async told(recorded: Promise<void>): Promise<void> {
    await recorded.catch((error: unknown) => this.host.logger.error({ run: this.runId, err: error }, 'an event could not be written to the history'));
  }

  /** Opens what the run is advanced or measured with, and lets workers find it. */
  async openContext<C extends ModelContext>(Kind: new (options: ModelContextOptions) => C): Promise<C> {
    const { folder, spec } = this;
    const { dispatcher, contents, exchange, parameters } = this.host;
    const bundle = await ModelBundle.open(spec.assets);
    const namespace = `${this.runId}.${randomBytes(4).toString('hex')}`;
    const context = await new Kind({ folder, spec, bundle, model: modelConfig(bundle.manifest, spec.model), dispatcher, contents, exchange, namespace }).open();
    parameters.set(namespace, context.parameters);
    return context;
  }

  async closeContext(context: ModelContext): Promise<void> {
    this.host.parameters.delete(context.namespace);
    await context.close();
  }

  /** The evaluations of a run share what workers are served; the last one closes it. */
  shareContext(): { readonly opened: Promise<ModelContext>; readonly release: () => Promise<void> } {
    const measuring = (this.#measuring ??= { context: this.openContext(ModelContext), users: 0 });
    measuring.users += 1;
    const release = async (): Promise<void> => {
      measuring.users -= 1;
      if (measuring.users > 0) return;
      this.#measuring = undefined;
      const context = await measuring.context.catch(() => undefined);
      if (context) await this.closeContext(context);
    };
    return { opened: measuring.context, release };
  }
}

function toJson(value: Identity | Place): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** A place that cannot be read is that of a run that nothing special was asked of. */
function parsePlace(text: string | undefined): Place {
  try {
    return placeSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return { priority: 0 };
  }
}
