import { Dd2Error, defaultGuidanceAlarm, type Insertion, type RunSpec, type UpdatePlan } from '@dd2/core';
import { z } from 'zod';
import type { RunProgress, UpdateMetrics } from './run-state.js';

const number = z.number().int().min(0);
const healthStateSchema = z.strictObject({
  /** the newest guidance losses, oldest first, as many as are averaged over */
  losses: z.array(z.number()).max(1_000),
  /** what the guidance network does at present, and how many losses that has given so far */
  stretch: z.strictObject({ phase: z.enum(['align', 'distill']), losses: number }).optional(),
  /** lowest average so far */
  lowest: z.number().optional(),
  alarmed: z.boolean(),
  /** average at the end of the last alignment */
  reference: z.number().optional(),
  inserted: z.array(z.strictObject({ at: number, updates: number })).max(100),
  /** the guidance network lagged once more after the last re-alignment that the spec allows */
  exhausted: z.boolean(),
});

/** Plain JSON, at most some 25 KiB; a part of every checkpoint. */
export type HealthState = Readonly<z.infer<typeof healthStateSchema>>;

export interface HealthNotice {
  /** `realign` has added to `state.inserted`: the run has become longer */
  readonly kind: 'skipped' | 'alarm' | 'recovered' | 'realign';
  readonly message: string;
}

/** What is looked at in an update's metrics. */
export type ObservedUpdate = Pick<UpdateMetrics, 'update' | 'phase' | 'network' | 'committed' | 'losses' | 'skippedUpdates' | 'skippedInARow'>;

/** Losses below this are as good as 0 in a comparison; one that predicts nothing is about 2, the variances of noise and tokens. */
const LEAST_LOSS = 0.01;

/**
 * Watches the losses of the guidance network, denoising errors per dimension (METHOD, FCS), in align and distill. Below,
 * A_k(W) is the mean of the newest W finite losses of committed guidance updates, of as many as there are in the beginning.
 *
 * - **Divergence**: the alarm goes on when A_k(W) > factor * min_j<=k A_j(W), and off when A_k(W) is below half-way between
 *   that minimum and the threshold. The first loss counts as an average, so that a network which is lost within its first
 *   window is still compared with what it started from.
 * - **Lag**: R is A(W) at the end of the last alignment (over its own updates alone, should there be fewer than W). After W
 *   guidance updates of the alternation, each one with A_k(W) > factor * R inserts an alignment right behind it. It ends with a
 *   new R: should the loss have grown because the generator's samples have become more diverse, and not because the guidance
 *   network lags, then it is that growth once and not a re-alignment for ever.
 *
 * Everything is a function of the committed metrics in their order: a run that is continued with the state of a checkpoint
 * decides what an undisturbed one does.
 */
export class TrainingHealth {
  #state: HealthState = { losses: [], alarmed: false, inserted: [], exhausted: false };
  readonly #alarm: typeof defaultGuidanceAlarm;
  readonly #realign: NonNullable<RunSpec['health']>['realign'];

  /**
   * @param state what a checkpoint holds
   * @throws {Dd2Error} CHECKPOINT_CORRUPT when it is no such state
   */
  constructor(spec: RunSpec, state?: unknown) {
    this.#alarm = spec.health?.guidanceAlarm ?? defaultGuidanceAlarm;
    this.#realign = spec.health?.realign;
    if (state === undefined) return;
    const { data, error } = healthStateSchema.safeParse(state);
    if (!data) throw new Dd2Error('CHECKPOINT_CORRUPT', 'the state of the training health cannot be read', { field: 'health', cause: error });
    this.#state = data;
  }

  /** As of the last update that was observed; later ones do not change the object. */
  get state(): HealthState {
    return this.#state;
  }

  /** Takes in an update that was committed or skipped; each one once, in order. */
  observe({ update, phase, network, committed, losses: { loss }, skippedUpdates, skippedInARow }: ObservedUpdate): HealthNotice[] {
    if (!committed) {
      // Thousands of them make a dozen notices.
      if (!Number.isInteger(Math.log2(skippedUpdates))) return [];
      return [{ kind: 'skipped', message: `update ${update} is skipped, its gradient is not finite; ${skippedUpdates} skipped in all, ${skippedInARow} in a row` }];
    }
    if (network !== 'guidance' || loss === undefined || !Number.isFinite(loss)) return [];
    const aligning = phase === 'align';
    const previous = this.#state.stretch;
    const stretch = { phase: aligning ? ('align' as const) : ('distill' as const), losses: 1 };
    if (previous?.phase === stretch.phase) stretch.losses += previous.losses;
    const kept = Math.max(this.#alarm.window, this.#realign?.window ?? 0);
    this.#state = { ...this.#state, losses: [...this.#state.losses, loss].slice(-kept), stretch };
    return [...this.#watchDivergence(), ...this.#watchLag(update)];
  }

  #watchDivergence(): HealthNotice[] {
    const { window, factor } = this.#alarm;
    const average = this.#average(window);
    const lowest = Math.max(LEAST_LOSS, Math.min(average, this.#state.lowest ?? Infinity));
    const alarmed = average > (this.#state.alarmed ? (1 + factor) / 2 : factor) * lowest;
    const changed = alarmed !== this.#state.alarmed;
    this.#state = { ...this.#state, lowest, alarmed };
    if (!changed) return [];
    const figures = `${figure(average)} on average over ${Math.min(window, this.#state.losses.length)} updates, ${figure(average / lowest)} times its lowest value`;
    return alarmed
      ? [{ kind: 'alarm', message: `the guidance loss diverges: ${figures}. Lower phases.distill.guidance.optimizer.learningRate or the generator's, unless it recovers` }]
      : [{ kind: 'recovered', message: `the guidance loss has recovered: ${figures}` }];
  }

  #watchLag(update: number): HealthNotice[] {
    const { stretch, inserted, exhausted } = this.#state;
    if (!this.#realign || !stretch) return [];
    const { window, factor, updates, limit } = this.#realign;
    if (stretch.phase === 'align') {
      this.#state = { ...this.#state, reference: this.#average(Math.min(window, stretch.losses)) };
      return [];
    }
    const reference = Math.max(LEAST_LOSS, this.#state.reference ?? Infinity);
    const average = this.#average(window);
    if (exhausted || stretch.losses < window || average <= factor * reference) return [];
    const lags = `the guidance network lags: its loss, ${figure(average)} on average over ${window} updates, is ${figure(average / reference)} times that at the end of the last alignment`;
    if (inserted.length >= limit) {
      this.#state = { ...this.#state, exhausted: true };
      return [{ kind: 'alarm', message: `${lags}, and there were ${limit} re-alignments already (health.realign.limit). More guidance updates in phases.distill.cycle would help` }];
    }
    const insertion: Insertion = { at: update + 1, updates };
    this.#state = { ...this.#state, inserted: [...inserted, insertion] };
    return [{ kind: 'realign', message: `${lags}; ${updates} guidance updates are inserted before the generator moves on (${inserted.length + 1} of at most ${limit} times)` }];
  }

  /** Mean of the newest `window` losses. */
  #average(window: number): number {
    const newest = this.#state.losses.slice(-window);
    return newest.reduce((sum, loss) => sum + loss, 0) / newest.length;
  }
}

/** Three digits: 0.334, 12, 2.64e+17. */
function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/**
 * Ends a run whose last updates were all skipped.
 * @throws {Dd2Error} NON_FINITE when as many in a row as the spec's nonFiniteLimit were
 */
export function requireFinite(spec: RunSpec, plan: UpdatePlan, { skippedInARow, skippedUpdates }: Pick<RunProgress, 'skippedInARow' | 'skippedUpdates'>): void {
  if (skippedInARow < spec.nonFiniteLimit) return;
  const part = plan.phase === 'align' || plan.phase === 'distill' ? `distill.${plan.network}` : plan.phase;
  throw new Dd2Error('NON_FINITE', `${skippedInARow} updates in a row had a gradient that is not finite; ${skippedUpdates} were skipped in all`, {
    field: `phases.${part}.optimizer.learningRate`,
    remedy: 'Lower the learning rates or set optimizer.clip, and submit it as a new run',
    details: { update: plan.update },
  });
}

/** A point of the curve of FID over updates. */
interface Evaluated {
  /** updates before it */
  readonly update: number;
  readonly generatorUpdates: number;
  readonly fid: number;
}

export type Patience = {
  /** updates whose checkpoints the decision may still end at */
  readonly needed: readonly number[];
} & ({ readonly stop: false } | { readonly stop: true; /** update that the run ends with */ readonly best: number; /** update of the evaluation that decided it */ readonly after: number });

/**
 * Is a run over before its last update? The rule looks at the periodic evaluations of distill in the order of their updates,
 * which is not the order in which they arrive. One is an improvement when its FID is below that of the last improvement by more than
 * `minimumImprovement` (the first one always is). The first one that completes `evaluations` in a row without improvement
 * ends the run: its result is the generator of the lowest FID up to there, of equal ones the earlier.
 *
 * Updates never wait for an evaluation, so a run may be far beyond that point when it is known; what was done in
 * between is given up. Only the curve before the first evaluation that is still `open` is looked at: whatever arrives when, and
 * whatever is killed in between, the run ends with the same update. For the same reason a run that has done all its
 * updates must not end before its periodic evaluations are there.
 */
export function patience(spec: RunSpec, evaluations: readonly Evaluated[], open: readonly number[] = []): Patience {
  const rule = spec.health?.patience;
  if (!rule) return { stop: false, needed: [] };
  const curve = evaluations.filter(({ generatorUpdates }) => generatorUpdates > 0).sort((a, b) => a.update - b.update);
  const known = curve.filter(({ update }) => update < Math.min(...open));
  let best: Evaluated | undefined;
  let improved = Infinity;
  let inARow = 0;
  for (const point of known) {
    if (point.fid < (best?.fid ?? Infinity)) best = point;
    const improves = point.fid < improved - rule.minimumImprovement;
    if (improves) improved = point.fid;
    inARow = improves ? 0 : inARow + 1;
    if (best && inARow >= rule.evaluations) return { stop: true, best: best.update, after: point.update, needed: [best.update] };
  }
  return { stop: false, needed: [...(best ? [best] : []), ...curve.slice(known.length)].map(({ update }) => update) };
}
