import type { Program, RunSpec, UpdatePlan } from '@dd2/core';
import {
  evaluationProgram,
  generatorProgram,
  guidanceProgram,
  regressProgram,
  sampleImagesProgram,
  targetsProgram,
  tuneProgram,
  type ModelConfig,
  type Sampler,
} from '@dd2/models';
import { encodeProgram } from '@dd2/proto';
import type { ContentStore } from './content-store.js';

/** A program that workers can fetch under its id. */
export interface ServedProgram {
  readonly id: string;
  readonly program: Program;
}

/** Compiles the programs of a run from its spec, each once, and serves them. */
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
    const { tune, regress, distill } = this.spec.phases;
    const batch = plan.batch / plan.microBatches;
    const phase = plan.phase === 'align' ? 'distill' : plan.phase;
    return this.#serve(`${phase} ${plan.network} ${batch}`, () => {
      if (phase === 'tune') return tuneProgram(this.model, { batch, draws: tune.draws, time: tune.time, rows: this.rows });
      if (phase === 'regress') return regressProgram(this.model, { batch, pairs: regress?.pairs ?? 0 });
      const { draws } = distill[plan.network];
      const shared = { batch, draws, time: distill.time, contexts: distill.contexts };
      return plan.network === 'guidance' ? guidanceProgram(this.model, shared) : generatorProgram(this.model, { ...shared, ...distill.objective });
    });
  }

  targets(batch: number, odeSteps: number): ServedProgram {
    return this.#serve(`targets ${batch} ${odeSteps}`, () => targetsProgram(this.model, { batch, odeSteps }));
  }

  evaluation(sampler: Sampler, batch: number): ServedProgram {
    return this.#serve(`evaluate ${JSON.stringify(sampler)} ${batch}`, () => evaluationProgram(this.model, sampler, { batch }));
  }

  images(sampler: Sampler, batch: number): ServedProgram {
    return this.#serve(`images ${JSON.stringify(sampler)} ${batch}`, () => sampleImagesProgram(this.model, sampler, { batch }));
  }

  #serve(key: string, build: () => Program): ServedProgram {
    const known = this.#served.get(key);
    if (known) return known;
    const program = build();
    const served = { id: this.contents.put(encodeProgram(program), this.owner), program };
    this.#served.set(key, served);
    return served;
  }
}
