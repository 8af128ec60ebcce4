import { EventEmitter } from 'node:events';
import { Dd2Error, errorCodes, type ErrorCode, type RunSpec } from '@dd2/core';
import { z } from 'zod';
import type { EvaluationRecord } from './evaluate.js';
import { namesIn, type RunFolder } from './run-folder.js';

/**
 * Why a checkpoint is measured: `periodic` ones make the curve, the `final` one ends the run with noise that none before has
 * seen, `asked` ones were asked for by people.
 */
export type EvaluationPurpose = 'periodic' | 'final' | 'asked';

const requestSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,100}$/),
  update: z.number().int().min(0),
  sampler: z.string().max(64),
  samples: z.number().int().min(1),
  noiseSeed: z.number().int().min(0),
  purpose: z.enum(['periodic', 'final', 'asked']),
  requestedAt: z.iso.datetime(),
  /** set when it was given up */
  failed: z.strictObject({ code: z.string(), message: z.string(), field: z.string(), remedy: z.string() }).optional(),
});

/** An evaluation that was asked for: pinned to a checkpoint, kept as `evaluations/<id>.request.json` until its result is there. */
export type EvaluationRequest = Readonly<z.infer<typeof requestSchema>>;

/** JSON has no NaN: it writes null for a number that is not finite. */
export const measured = z.number().nullable().transform((value) => value ?? NaN);

const recordSchema = z.object({
  update: z.number().int(),
  generatorUpdates: z.number().int(),
  sampler: z.string(),
  fid: measured,
  fidStandardError: z.number().optional(),
  samples: z.number().int(),
  classCounts: z.array(z.number().int()),
  accuracy: measured,
  noiseSeed: z.number().int(),
  featureNetworkSha256: z.string(),
  referenceSha256: z.string(),
  millisecondsPerImage: measured,
  seconds: measured,
});

const REQUEST = '.request.json';
const RESULT = '.json';
const GRID = '.png';

/** What a run's evaluations came to, and those that are still to be done: both are files of the run folder. */
export class RunEvaluations extends EventEmitter<{ changed: [id: string] }> {
  readonly #requests = new Map<string, EvaluationRequest>();
  readonly #records = new Map<string, EvaluationRecord>();
  /** those that have a grid of samples */
  readonly #grids = new Set<string>();
  /** those whose result was found beside its request */
  readonly #unfinished: (readonly [EvaluationRequest, EvaluationRecord])[] = [];
  /** those that are being measured */
  readonly running = new Set<string>();

  private constructor(
    readonly folder: RunFolder,
    readonly spec: RunSpec,
  ) {
    super();
    this.setMaxListeners(0);
  }

  /** Finds what the folder holds. A file that is damaged counts as absent: what it said can be asked for again. */
  static async open(folder: RunFolder, spec: RunSpec): Promise<RunEvaluations> {
    const evaluations = new RunEvaluations(folder, spec);
    for (const name of (await namesIn(folder.file('evaluations'))).sort()) {
      if (name.endsWith(GRID)) evaluations.#grids.add(name.slice(0, -GRID.length));
      const text = name.endsWith(RESULT) ? await folder.read(`evaluations/${name}`) : undefined;
      const value = text === undefined ? undefined : parseJson(text);
      if (name.endsWith(REQUEST)) {
        const request = requestSchema.safeParse(value).data;
        if (request && `${request.id}${REQUEST}` === name) evaluations.#requests.set(request.id, request);
      } else {
        const record = recordSchema.safeParse(value).data;
        if (record) evaluations.#records.set(name.slice(0, -RESULT.length), record);
      }
    }
    // A crash between the result and the end of its request leaves both.
    for (const [id, record] of evaluations.#records) {
      const request = evaluations.#requests.get(id);
      if (request) evaluations.#unfinished.push([request, record]);
      evaluations.#requests.delete(id);
    }
    return evaluations;
  }

  /** Those that are asked for and neither done nor given up, in the order in which they were asked for. */
  get pending(): EvaluationRequest[] {
    return [...this.#requests.values()].filter(({ failed }) => !failed).sort((a, b) => a.requestedAt.localeCompare(b.requestedAt) || a.update - b.update);
  }

  get requests(): readonly EvaluationRequest[] {
    return [...this.#requests.values()];
  }

  get records(): readonly (readonly [id: string, record: EvaluationRecord])[] {
    return [...this.#records];
  }

  record(id: string): EvaluationRecord | undefined {
    return this.#records.get(id);
  }

  /** Whether a measurement came with a grid of samples. */
  hasGrid(id: string): boolean {
    return this.#records.has(id) && this.#grids.has(id);
  }

  /** The grid of samples of a measurement, PNG. @throws {Dd2Error} ASSET_MISSING when there is none */
  async grid(id: string): Promise<Uint8Array> {
    // Only names that were found or made here become part of a path.
    const png = this.hasGrid(id) ? await this.folder.readBytes(`evaluations/${id}${GRID}`) : undefined;
    if (png) return png;
    throw new Dd2Error('ASSET_MISSING', `evaluation "${id}" of run ${this.folder.runId} has no sample grid`, { field: 'evaluation_id', remedy: 'List the evaluations: those with has_grid have one' });
  }

  find(id: string): EvaluationRequest | undefined {
    return this.#requests.get(id);
  }

  /** Updates of the checkpoints that evaluations still need. */
  get held(): ReadonlySet<number> {
    return new Set(this.pending.map(({ update }) => update));
  }

  /** The curve: periodic measurements, all of the same provenance, ascending by update. */
  get curve(): readonly EvaluationRecord[] {
    return [...this.#records].flatMap(([id, record]) => (id === periodicId(record.update) ? record : [])).sort((a, b) => a.update - b.update);
  }

  /** The lowest FID of the curve; of equal ones the earlier. */
  get best(): EvaluationRecord | undefined {
    return this.curve.reduce<EvaluationRecord | undefined>((best, record) => (record.fid < (best?.fid ?? Infinity) ? record : best), undefined);
  }

  /** Asks for an evaluation, on disk first; one that is done or on its way is left as it is, one that was given up is asked for again. */
  async request(wanted: Omit<EvaluationRequest, 'requestedAt' | 'failed'>): Promise<void> {
    const known = this.#requests.get(wanted.id);
    if (this.#records.has(wanted.id) || (known && !known.failed)) return;
    await this.#write({ ...wanted, requestedAt: new Date().toISOString() });
  }

  /**
   * Keeps a result: the grid first, the figure next; then it is told, and only then is the request done, so that a crash in between
   * loses nothing. Those who wait for it go on after that.
   */
  async complete(id: string, { record, grid }: { readonly record: EvaluationRecord; readonly grid?: Uint8Array | undefined }, tell: () => Promise<void>): Promise<void> {
    if (grid) await this.folder.write(`evaluations/${id}${GRID}`, grid);
    await this.folder.write(`evaluations/${id}${RESULT}`, `${JSON.stringify(record, null, 2)}\n`);
    if (!this.#requests.delete(id)) return this.#removeResult(id); // it was withdrawn meanwhile
    this.#records.set(id, record);
    if (grid) this.#grids.add(id);
    try {
      await tell();
      await this.folder.remove(`evaluations/${id}${REQUEST}`);
    } finally {
      this.emit('changed', id);
    }
  }

  /** Ends the requests that a crash has left beside their results. @param tell it may have been told already */
  async finish(tell: (record: EvaluationRecord, purpose: EvaluationPurpose) => Promise<void>): Promise<void> {
    for (const [{ id, purpose }, record] of this.#unfinished.splice(0)) {
      await tell(record, purpose);
      await this.folder.remove(`evaluations/${id}${REQUEST}`);
    }
  }

  /** It was given up: nothing waits for it any more. */
  async fail(id: string, { code, message, field = '', remedy = '' }: Dd2Error): Promise<void> {
    const request = this.#requests.get(id);
    if (request) await this.#write({ ...request, failed: { code, message, field, remedy } });
  }

  /** Takes back what is not measured yet. */
  async withdraw(id: string): Promise<void> {
    if (!this.#requests.delete(id)) return;
    try {
      await this.folder.remove(`evaluations/${id}${REQUEST}`);
    } finally {
      this.emit('changed', id);
    }
  }

  /** The run has ended before these points of its curve: how many of them there are depends on nothing but speed. */
  async dropAfter(update: number): Promise<void> {
    for (const { id, purpose, update: later } of this.requests) if (purpose === 'periodic' && later > update) await this.withdraw(id);
    for (const { update: later } of this.curve) {
      if (later <= update) continue;
      const id = periodicId(later);
      this.#records.delete(id);
      await this.folder.remove(`evaluations/${id}${REQUEST}`); // a crash may have left it beside the result
      await this.#removeResult(id);
      this.emit('changed', id);
    }
  }

  async #removeResult(id: string): Promise<void> {
    this.#grids.delete(id);
    await this.folder.remove(`evaluations/${id}${RESULT}`);
    await this.folder.remove(`evaluations/${id}${GRID}`);
  }

  /** Resolves when none of the run's own evaluations is pending. @throws the signal's reason */
  async settled(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.pending.every(({ purpose }) => purpose === 'asked')) return;
      await this.changed(signal);
    }
  }

  /** Resolves when an evaluation was asked for, is done, or was given up; or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.off('changed', end);
        signal.removeEventListener('abort', end);
        resolve();
      };
      this.on('changed', end);
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
    });
  }

  /** Takes note in memory first: what cannot be written is asked for again by whoever takes the run up. */
  async #write(request: EvaluationRequest): Promise<void> {
    this.#requests.set(request.id, request);
    try {
      await this.folder.write(`evaluations/${request.id}${REQUEST}`, `${JSON.stringify(request, null, 2)}\n`);
    } finally {
      this.emit('changed', request.id);
    }
  }
}

/** The name of a periodic evaluation and of its files. */
export function periodicId(update: number): string {
  return String(update);
}

export function failureOf({ failed }: EvaluationRequest): Dd2Error | undefined {
  if (!failed) return undefined;
  const code: ErrorCode = Object.hasOwn(errorCodes, failed.code) ? (failed.code as ErrorCode) : 'INTERNAL';
  return new Dd2Error(code, failed.message, { field: failed.field, remedy: failed.remedy });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
