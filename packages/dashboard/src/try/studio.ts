import { signal, type Signal } from '@preact/signals';
import { ApiError } from '../api/client.js';
import { send } from '../api/http.js';
import { medianOf } from './median.js';
import { download, type DownloadProgress } from './download.js';
import { loadRuntime, SamplerSession } from './sampler-session.js';

/** The samplers side by side: the generator, and the teacher that it was distilled from. */
export const samplers = ['one-step', 'teacher'] as const;
export type SamplerName = (typeof samplers)[number];

/** What is downloaded. */
export type Part = 'runtime' | SamplerName;
export type PartState = { readonly state: 'waiting' | 'preparing' | 'ready' } | ({ readonly state: 'loading' } & DownloadProgress);

/** What to make. */
export interface Wish {
  readonly label: number;
  readonly images: number;
  /** draw anew, or use the draws of the last time */
  readonly isNewNoise: boolean;
}

export interface Outcome {
  readonly label: number;
  readonly images: number;
  readonly pixels: Uint8Array;
  /** median of `calls` calls of the model with the same input */
  readonly milliseconds: number;
  readonly calls: number;
}

/** Timed calls for one figure, after one that is not timed. */
export const CALLS = 5;
/** Images that noise is kept for. */
export const MOST_IMAGES = 16;

interface Stand {
  readonly session: SamplerSession;
  draws: Float32Array;
  /** numbers of images that it was called with: the first call of each reserves memory */
  readonly warm: Set<number>;
}

/** Loads a run's samplers and makes images with both, one after the other, always of the latest wish. */
export class Studio {
  readonly parts: Readonly<Record<Part, Signal<PartState>>> = { runtime: signal({ state: 'waiting' }), 'one-step': signal({ state: 'waiting' }), teacher: signal({ state: 'waiting' }) };
  readonly outcomes: Readonly<Record<SamplerName, Signal<Outcome | undefined>>> = { 'one-step': signal(undefined), teacher: signal(undefined) };
  readonly problem = signal<ApiError | undefined>(undefined);
  /** of the generator's file */
  readonly metadata = signal<ReadonlyMap<string, string> | undefined>(undefined);
  readonly isBusy = signal(false);
  readonly #stands = new Map<SamplerName, Stand>();
  readonly #leaving = new AbortController();
  #opening = new AbortController();
  #wanted: Wish | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(private readonly runId: string) {}

  /** Loads the generator of a checkpoint, then, the first time, the teacher, which is the same for all checkpoints. */
  async open(update: number): Promise<void> {
    this.#opening.abort();
    this.#opening = new AbortController();
    const signal = AbortSignal.any([this.#opening.signal, this.#leaving.signal]);
    this.problem.value = undefined;
    try {
      await this.#openRuntime();
      await this.#openSampler('one-step', update, signal);
      if (!this.#stands.has('teacher')) await this.#openSampler('teacher', update, signal);
    } catch (thrown) {
      if (!signal.aborted) this.problem.value = ApiError.from(thrown);
    }
  }

  /** Makes images as soon as there is a generator; what was wished for before and is not begun yet is dropped. */
  generate(wish: Wish): void {
    this.#wanted = wish;
    if (this.isBusy.peek() || !this.#stands.has('one-step')) return;
    this.isBusy.value = true;
    this.#working = this.#work()
      .catch((thrown: unknown) => {
        if (!this.#leaving.signal.aborted) this.problem.value = ApiError.from(thrown);
      })
      .finally(() => (this.isBusy.value = false));
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    await this.#working;
    for (const { session } of this.#stands.values()) await session.close();
    this.#stands.clear();
  }

  async #openRuntime(): Promise<void> {
    const part = this.parts.runtime;
    if (part.peek().state === 'ready') return;
    await loadRuntime((progress) => (part.value = { state: 'loading', ...progress }));
    part.value = { state: 'ready' };
  }

  async #openSampler(name: SamplerName, update: number, signal: AbortSignal): Promise<void> {
    const part = this.parts[name];
    part.value = { state: 'waiting' }; // the coordinator may have to make the file first
    const response = await send('GET', `/runs/${encodeURIComponent(this.runId)}/export`, { format: 'EXPORT_FORMAT_ONNX', sampler: name, update }, undefined, { signal });
    const model = await download(response, (progress) => (part.value = { state: 'loading', ...progress }), signal);
    part.value = { state: 'preparing' };
    await painted();
    const session = await SamplerSession.open(model);
    while (this.isBusy.peek()) await this.#working; // what is in use is not taken away
    const before = this.#stands.get(name);
    if (signal.aborted) return session.close();
    this.#stands.set(name, { session, draws: before?.draws ?? session.draw(MOST_IMAGES), warm: new Set() });
    await before?.session.close();
    if (name === 'one-step') this.metadata.value = session.metadata;
    part.value = { state: 'ready' };
    this.outcomes[name].value = undefined;
    if (this.#wanted) this.generate({ ...this.#wanted, isNewNoise: false });
  }

  async #work(): Promise<void> {
    let done: Wish | undefined;
    while (this.#wanted !== done && !this.#leaving.signal.aborted) {
      const wish = this.#wanted;
      if (!wish) return;
      if (wish.isNewNoise) for (const stand of this.#stands.values()) stand.draws = stand.session.draw(MOST_IMAGES);
      for (const name of samplers) {
        // While somebody keeps pressing, the generator alone keeps up.
        if (this.#wanted === wish) await this.#make(name, wish);
      }
      done = wish;
    }
  }

  async #make(name: SamplerName, wish: Wish): Promise<void> {
    const stand = this.#stands.get(name);
    if (!stand) return;
    const { label, images } = wish;
    if (!stand.warm.has(images)) await stand.session.sample(label, images, stand.draws);
    stand.warm.add(images);
    const times: number[] = [];
    while (times.length < CALLS && this.#wanted === wish && !this.#leaving.signal.aborted) {
      const { pixels, milliseconds } = await stand.session.sample(label, images, stand.draws);
      times.push(milliseconds);
      if (times.length > 1 && times.length < CALLS) continue;
      this.outcomes[name].value = { label, images, pixels, milliseconds: medianOf(times), calls: times.length };
      await painted();
    }
  }
}

/** Lets the browser show what has changed; a page in the background shows nothing, and goes on. */
function painted(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 50);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      setTimeout(resolve, 0);
    });
  });
}
