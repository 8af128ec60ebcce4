import { batch, computed, signal, type ReadonlySignal } from '@preact/signals';
import { placesOf, placesToAsk, type KnownPlaces } from '../fid/axis-places.js';
import { fidPoints, type FidPoint } from '../fid/fid-point.js';
import { ApiError } from '../api/api-error.js';
import type { Evaluation, Run, RunSeries } from '../api/messages.js';

/** Where a run's data comes from; tests have their own. */
export interface RunSource {
  getRun(runId: string): Promise<Run>;
  listEvaluations(runId: string): Promise<readonly Evaluation[]>;
  /** where these updates are on every axis */
  getPositions(runId: string, updates: readonly number[]): Promise<RunSeries['positions']>;
  /** tells every run as it is and then each one when it changes; returns what stops it */
  watchRuns(onRun: (run: Run) => void): () => void;
}

/** What the run page knows of one run, kept up to date while it is open. */
export class RunData {
  readonly #run = signal<Run | undefined>(undefined);
  readonly #problem = signal<ApiError | undefined>(undefined);
  readonly #measurementProblem = signal<ApiError | undefined>(undefined);
  readonly #evaluations = signal<readonly Evaluation[] | undefined>(undefined);
  readonly #places = signal<KnownPlaces>(new Map());
  readonly #asked = new Set<number>();
  readonly #stopWatching: () => void;
  #isOpen = true;
  #refreshing: Promise<void> | undefined;
  #isStale = false;
  /** its measurements that are complete */
  readonly points: ReadonlySignal<readonly FidPoint[]> = computed(() => fidPoints(this.runId, this.#evaluations.value ?? []));

  constructor(
    readonly runId: string,
    readonly source: RunSource,
  ) {
    this.#stopWatching = source.watchRuns((run) => {
      if (run.runId === runId) this.#follow(run);
    });
    this.load();
  }

  /** undefined until it is known */
  get run(): ReadonlySignal<Run | undefined> {
    return this.#run;
  }

  /** why its measurements are not known */
  get measurementProblem(): ReadonlySignal<ApiError | undefined> {
    return this.#measurementProblem;
  }

  /** why nothing is known */
  get problem(): ReadonlySignal<ApiError | undefined> {
    return this.#problem;
  }

  /** undefined until they are known */
  get evaluations(): ReadonlySignal<readonly Evaluation[] | undefined> {
    return this.#evaluations;
  }

  get places(): ReadonlySignal<KnownPlaces> {
    return this.#places;
  }

  /** Asks for everything anew. */
  load(): void {
    this.#problem.value = undefined;
    this.source.getRun(this.runId).then(
      (run) => this.#follow(run),
      (cause: unknown) => this.#fail(cause),
    );
    this.refresh();
  }

  /** Asks for the measurements anew; all that is asked for while an answer is on its way is answered by the next one. */
  refresh(): void {
    if (this.#refreshing) {
      this.#isStale = true;
      return;
    }
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined;
      if (!this.#isStale || !this.#isOpen) return;
      this.#isStale = false;
      this.refresh();
    });
  }

  /** Asks where the measurements are on every axis, for those that nobody asked for since the measurements changed. */
  locate(): void {
    const known = new Set([...this.#places.value.keys(), ...this.#asked]);
    const updates = this.points.value.map(({ update }) => update);
    for (const some of placesToAsk(updates, known)) {
      for (const update of some) this.#asked.add(update);
      this.source.getPositions(this.runId, some).then(
        (positions) => {
          if (this.#isOpen) this.#places.value = new Map([...this.#places.value, ...placesOf(positions)]);
        },
        () => {
          for (const update of some) this.#asked.delete(update); // the next change asks again
        },
      );
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#stopWatching();
  }

  async #refresh(): Promise<void> {
    try {
      const evaluations = await this.source.listEvaluations(this.runId);
      if (!this.#isOpen) return;
      batch(() => {
        for (const update of this.#asked) if (!this.#places.value.has(update)) this.#asked.delete(update);
        this.#evaluations.value = evaluations;
        this.#measurementProblem.value = undefined;
      });
    } catch (cause) {
      // What is known stays.
      if (this.#isOpen && !this.#evaluations.value) this.#measurementProblem.value = ApiError.from(cause);
    }
  }

  #follow(run: Run): void {
    if (!this.#isOpen) return;
    const before = this.#run.value;
    batch(() => {
      this.#run.value = run;
      this.#problem.value = undefined;
    });
    // Whatever is measured is an event of the run, and every event changes the time.
    if (before && (!this.#evaluations.value || before.updatedAt !== run.updatedAt || before.fidCurve.length !== run.fidCurve.length)) this.refresh();
  }

  #fail(cause: unknown): void {
    if (this.#isOpen && !this.#run.value) this.#problem.value = ApiError.from(cause);
  }
}
