import type { Program, RunSpec, UpdatePlan } from '@dd2/core';
import {
  contextLogitsProgram,
  contextsProgram,
  evaluationProgram,
  generatorProgram,
  guidanceProgram,
  regressProgram,
  sampleImagesProgram,
  sampleTokensProgram,
  targetsProgram,
  tuneProgram,
  tuneTeacherProgram,
  type ModelConfig,
  type Sampler,
  type TokenSource,
} from '@dd2/models';
import { encodeProgram } from '@dd2/proto';
import type { ContentStore } from './content-store.js';

/** Which workers run a program, and what must run before it. */
interface Placement {
  /** `pool`: those of the teacher pool, else all others */
  readonly placement: 'pool' | undefined;
  /** programs whose results its micro-batches are given; one that needs another comes after it */
  readonly inputsFrom: readonly ServedProgram[];
}

/** A program that workers can fetch under its id. */
export interface ServedProgram extends Placement {
  readonly id: string;
  readonly program: Program;
}

const anywhere: Placement = { placement: undefined, inputsFrom: [] };

/**
 * Compiles the programs of a run from its spec, each once, and serves them. With `teacher: { placement: pool }` whatever evaluates
 * the teacher is a program of its own, for the workers of the pool, and its results are given to the program that needs them.
 */
export class Programs {
  readonly #served = new Map<string, ServedProgram>();

  constructor(
    readonly spec: RunSpec,
    readonly model: ModelConfig,
    /** training samples of the data set */
    readonly rows: number,
    readonly contents: ContentStore,
    /** keeps what is served in the content store */
    readonly owner: string,
  ) {}

  /** The gradient program of one micro-batch of an update. */
  forUpdate(plan: UpdatePlan): ServedProgram {
    const batch = plan.batch / plan.microBatches;
    switch (plan.phase) {
      case 'tune':
        return this.#tune(batch);
      case 'regress':
        return this.#serve(`regress ${batch}`, () => regressProgram(this.model, { batch, pairs: this.spec.phases.regress?.pairs ?? 0 }));
      case 'align':
      case 'distill':
        return plan.network === 'guidance' ? this.#guidance(batch) : this.#generator(batch);
    }
  }

  targets(batch: number, odeSteps: number): ServedProgram {
    return this.#serve(`targets ${batch} ${odeSteps}`, () => targetsProgram(this.model, { batch, odeSteps }), this.#teacher());
  }

  evaluation(sampler: Sampler, batch: number): ServedProgram {
    const { source, ...placement } = this.#sampling(sampler, batch);
    return this.#serve(`evaluate ${JSON.stringify(sampler)} ${batch}`, () => evaluationProgram(this.model, source, { batch }), placement);
  }

  images(sampler: Sampler, batch: number): ServedProgram {
    const { source, ...placement } = this.#sampling(sampler, batch);
    return this.#serve(`images ${JSON.stringify(sampler)} ${batch}`, () => sampleImagesProgram(this.model, source, { batch }), placement);
  }

  #tune(batch: number): ServedProgram {
    const { draws, time } = this.spec.phases.tune;
    const options = { batch, draws, time, rows: this.rows };
    if (!this.#pooled) return this.#serve(`tune ${batch}`, () => tuneProgram(this.model, options));
    const teacher = this.#serve(`tune teacher ${batch}`, () => tuneTeacherProgram(this.model, options), this.#teacher());
    return this.#serve(`tune ${batch}`, () => tuneProgram(this.model, { ...options, teacher: 'given' }), { placement: undefined, inputsFrom: [teacher] });
  }

  #guidance(batch: number): ServedProgram {
    const { time, contexts, guidance } = this.spec.phases.distill;
    return this.#serve(`guidance ${batch}`, () => guidanceProgram(this.model, { batch, draws: guidance.draws, time, contexts }));
  }

  #generator(batch: number): ServedProgram {
    const { time, contexts, generator, objective } = this.spec.phases.distill;
    const options = { batch, draws: generator.draws, time, contexts, ...objective };
    if (!this.#pooled) return this.#serve(`generator ${batch}`, () => generatorProgram(this.model, options));
    const sample = this.#serve(`contexts ${batch}`, () => contextsProgram(this.model, { batch, contexts }));
    const teacher = this.#serve(`logits ${batch}`, () => contextLogitsProgram(this.model, { batch, contexts }), this.#teacher(sample));
    return this.#serve(`generator ${batch}`, () => generatorProgram(this.model, { ...options, teacher: 'given' }), { placement: undefined, inputsFrom: [sample, teacher] });
  }

  /** Where a sampler's tokens come from: the pool's when the teacher takes part. Scoring stays with the other workers. */
  #sampling(sampler: Sampler, batch: number): { readonly source: TokenSource } & Placement {
    if (!this.#pooled || (sampler.kind !== 'teacher' && sampler.kind !== 'multi-step')) return { source: sampler, ...anywhere };
    const tokens = (source: TokenSource, placement: Placement): ServedProgram =>
      this.#serve(`tokens ${JSON.stringify(source)} ${batch}`, () => sampleTokensProgram(this.model, source, { batch }), placement);
    const teacher =
      sampler.kind === 'teacher'
        ? tokens(sampler, this.#teacher())
        : tokens({ kind: 'continued', keep: sampler.keep }, this.#teacher(tokens({ kind: 'one-step' }, anywhere)));
    return { source: { kind: 'given' }, placement: undefined, inputsFrom: [teacher] };
  }

  get #pooled(): boolean {
    return this.spec.teacher?.placement === 'pool';
  }

  /** The placement of a program that evaluates the teacher. */
  #teacher(...inputsFrom: ServedProgram[]): Placement {
    return { placement: this.#pooled ? 'pool' : undefined, inputsFrom };
  }

  #serve(key: string, build: () => Program, placement = anywhere): ServedProgram {
    const known = this.#served.get(key);
    if (known) return known;
    const program = build();
    const served = { id: this.contents.put(encodeProgram(program), this.owner), program, ...placement };
    this.#served.set(key, served);
    return served;
  }
}
