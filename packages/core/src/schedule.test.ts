import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRunSpec, type OptimizerSpec, type RunSpec } from './run-spec.js';
import { learningRate, phaseRanges, schedule, totalUpdates, type Insertion, type UpdatePlan } from './schedule.js';

const text = readFileSync(new URL('../fixtures/spec.yaml', import.meta.url), 'utf8');
const mnist = parseRunSpec(text);

/** Specs with any lengths of phases and any cycle. */
const specs: fc.Arbitrary<RunSpec> = fc
  .record({
    tune: fc.integer({ min: 1, max: 6 }),
    regress: fc.nat(4),
    align: fc.nat(5),
    generatorUpdates: fc.integer({ min: 1, max: 20 }),
    guidance: fc.nat(5),
    generator: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ tune, regress, align, generatorUpdates, guidance, generator }) => ({
    ...mnist,
    phases: {
      tune: { ...mnist.phases.tune, updates: tune },
      regress: regress > 0 && mnist.phases.regress ? { ...mnist.phases.regress, updates: regress } : undefined,
      distill: { ...mnist.phases.distill, align, generatorUpdates, cycle: { guidance, generator } },
    },
  }));

const plansOf = (spec: RunSpec, inserted: readonly Insertion[] = []): UpdatePlan[] =>
  Array.from({ length: totalUpdates(spec, inserted) }, (_, update) => schedule(update, spec, inserted));

/** Specs with decaying rates, and insertions anywhere in their distillation, each after at least one update of it. */
const interrupted: fc.Arbitrary<{ spec: RunSpec; inserted: Insertion[] }> = fc
  .record({ spec: specs, places: fc.array(fc.record({ after: fc.integer({ min: 1, max: 12 }), updates: fc.integer({ min: 1, max: 5 }) }), { maxLength: 4 }) })
  .map(({ spec, places }) => {
    const { distill } = spec.phases;
    const decaying = { decay: 'cosine', floor: 0.1, warmup: 3 } as const;
    const guidance = { ...distill.guidance, optimizer: { ...distill.guidance.optimizer, ...decaying } };
    const generator = { ...distill.generator, optimizer: { ...distill.generator.optimizer, ...decaying } };
    const cycle = { ...distill.cycle, guidance: Math.max(1, distill.cycle.guidance) };
    return { spec: { ...spec, phases: { ...spec.phases, distill: { ...distill, align: Math.max(1, distill.align), cycle, guidance, generator } } }, places };
  })
  .map(({ spec, places }) => {
    const inserted: Insertion[] = [];
    let from = phaseRanges(spec).at(-1)?.from ?? 0;
    for (const { after, updates } of places) {
      if (from + after >= totalUpdates(spec, inserted)) break;
      inserted.push({ at: from + after, updates });
      from += after + updates;
    }
    return { spec, inserted };
  });

const isInserted = ({ update }: UpdatePlan, inserted: readonly Insertion[]): boolean => inserted.some(({ at, updates }) => update >= at && update < at + updates);

describe('phaseRanges', () => {
  it('are contiguous, in order, and none is empty', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const ranges = phaseRanges(spec);
        expect(ranges.map((r) => r.from)).toEqual([0, ...ranges.slice(0, -1).map((r) => r.to)]);
        expect(ranges.every((r) => r.to > r.from)).toBe(true);
        expect(ranges.map((r) => r.phase)).toEqual(
          (['tune', 'regress', 'align', 'distill'] as const).filter((phase) => (phase !== 'regress' || spec.phases.regress) && (phase !== 'align' || spec.phases.distill.align > 0)),
        );
        expect(totalUpdates(spec)).toBe(ranges.at(-1)?.to);
      }),
    );
  });

  it('are those of the config', () => {
    expect(phaseRanges(mnist)).toEqual([
      { phase: 'tune', from: 0, to: 1000 },
      { phase: 'regress', from: 1000, to: 3500 },
      { phase: 'align', from: 3500, to: 3650 },
      { phase: 'distill', from: 3650, to: 4850 },
    ]);
  });
});

describe('schedule', () => {
  it('places every update in its phase', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const ranges = phaseRanges(spec);
        for (const plan of plansOf(spec)) {
          const range = ranges.find((r) => plan.update >= r.from && plan.update < r.to);
          expect({ phase: plan.phase, phaseUpdate: plan.phaseUpdate }).toEqual({ phase: range?.phase, phaseUpdate: plan.update - (range?.from ?? 0) });
        }
      }),
    );
  });

  it('makes exactly the declared generator updates, the last update of the run being one', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const distill = plansOf(spec).filter((plan) => plan.phase === 'distill');
        const { generatorUpdates, cycle } = spec.phases.distill;
        expect(distill.filter((plan) => plan.network === 'generator')).toHaveLength(generatorUpdates);
        expect(distill.filter((plan) => plan.network === 'guidance')).toHaveLength(Math.ceil(generatorUpdates / cycle.generator) * cycle.guidance);
        expect(distill.at(-1)?.network).toBe('generator');
      }),
    );
  });

  it('follows the cycle: guidance updates first, then generator updates, over and over', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const { guidance, generator } = spec.phases.distill.cycle;
        const distill = plansOf(spec).filter((plan) => plan.phase === 'distill');
        distill.forEach((plan, index) => {
          const position = index % (guidance + generator);
          expect(plan.cycle).toEqual({ position, length: guidance + generator });
          expect(plan.network).toBe(position < guidance ? 'guidance' : 'generator');
        });
        expect(plansOf(spec).filter((plan) => plan.phase !== 'distill').every((plan) => plan.cycle === undefined)).toBe(true);
      }),
    );
  });

  it('counts the updates of each network without gaps; alignment and distillation are one stretch', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const plans = plansOf(spec);
        const stretches = [
          plans.filter((plan) => plan.phase === 'tune'),
          plans.filter((plan) => plan.phase === 'regress'),
          plans.filter((plan) => plan.network === 'guidance'),
          plans.filter((plan) => plan.phase === 'distill' && plan.network === 'generator'),
        ];
        for (const stretch of stretches) expect(stretch.map((plan) => plan.networkUpdate)).toEqual(stretch.map((_, index) => index));
        expect(stretches.reduce((sum, stretch) => sum + stretch.length, 0)).toBe(plans.length);
      }),
    );
  });

  it('knows how many generator updates of the distillation are complete', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        let complete = 0;
        for (const plan of plansOf(spec)) {
          expect(plan.generatorUpdates).toBe(complete);
          if (plan.phase === 'distill' && plan.network === 'generator') complete += 1;
        }
      }),
    );
  });

  it('takes batch, micro-batches and optimizer from the part of the spec that the update belongs to', () => {
    const at = (update: number): Pick<UpdatePlan, 'batch' | 'microBatches' | 'optimizer'> => {
      const { batch, microBatches, optimizer } = schedule(update, spec);
      return { batch, microBatches, optimizer };
    };
    const spec = parseRunSpec(text, ['phases.regress.batch=96', 'phases.distill.guidance.batch=40', 'phases.distill.generator.batch=48']);
    const { tune, regress, distill } = spec.phases;
    const parts = [tune, regress, distill.guidance, distill.guidance, distill.generator];
    expect([0, 1000, 3500, 3650, 3653].map(at)).toEqual(parts.map((part) => ({ batch: part?.batch, microBatches: part?.microBatches, optimizer: part?.optimizer })));
  });

  it('is pure: the same update and spec give the same plan, in any order, and the spec stays as it is', () => {
    fc.assert(
      fc.property(specs, fc.nat(), (spec, pick) => {
        const before = structuredClone(spec);
        const update = pick % totalUpdates(spec);
        const plan = schedule(update, spec);
        plansOf(spec).reverse();
        expect(schedule(update, structuredClone(spec))).toEqual(plan);
        expect(spec).toEqual(before);
      }),
    );
  });

  it.each([-1, 4850, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses update %s', (update) => {
    expect(() => schedule(update, mnist)).toThrow(RangeError);
  });
});

describe('inserted guidance updates', () => {
  it('cut distill in two, with align in between; all ranges stay contiguous and none is empty', () => {
    expect(phaseRanges(mnist, [{ at: 3651, updates: 20 }, { at: 3672, updates: 5 }]).slice(2)).toEqual([
      { phase: 'align', from: 3500, to: 3650 },
      { phase: 'distill', from: 3650, to: 3651 },
      { phase: 'align', from: 3651, to: 3671 },
      { phase: 'distill', from: 3671, to: 3672 },
      { phase: 'align', from: 3672, to: 3677 },
      { phase: 'distill', from: 3677, to: 4875 },
    ]);
    fc.assert(
      fc.property(interrupted, ({ spec, inserted }) => {
        const ranges = phaseRanges(spec, inserted);
        expect(ranges.map((r) => r.from)).toEqual([0, ...ranges.slice(0, -1).map((r) => r.to)]);
        expect(ranges.every((r) => r.to > r.from)).toBe(true);
        expect(totalUpdates(spec, inserted)).toBe(totalUpdates(spec) + inserted.reduce((sum, { updates }) => sum + updates, 0));
        for (const plan of plansOf(spec, inserted)) {
          const range = ranges.find((r) => plan.update >= r.from && plan.update < r.to);
          expect({ phase: plan.phase, phaseUpdate: plan.phaseUpdate }).toEqual({ phase: range?.phase, phaseUpdate: plan.update - (range?.from ?? 0) });
        }
      }),
    );
  });

  it('leave every declared update as it is, but for its number and the age of the guidance moments', () => {
    fc.assert(
      fc.property(interrupted, ({ spec, inserted }) => {
        const content = (plans: readonly UpdatePlan[]): object[] =>
          plans.map(({ network, generatorUpdates, batch, microBatches, learningRate: rate, optimizer, cycle, phase }) => ({ network, generatorUpdates, batch, microBatches, rate, optimizer, cycle, phase }));
        expect(content(plansOf(spec, inserted).filter((plan) => !isInserted(plan, inserted)))).toEqual(content(plansOf(spec)));
      }),
    );
  });

  it('are guidance updates outside the cycle, at the rate of the guidance update before them', () => {
    fc.assert(
      fc.property(interrupted, ({ spec, inserted }) => {
        const plans = plansOf(spec, inserted);
        let guidanceRate = NaN;
        for (const plan of plans) {
          if (isInserted(plan, inserted)) {
            const { batch, microBatches, optimizer } = spec.phases.distill.guidance;
            expect(plan).toMatchObject({ phase: 'align', network: 'guidance', batch, microBatches, optimizer, learningRate: guidanceRate });
            expect(plan.cycle).toBeUndefined();
            expect(plan.generatorUpdates).toBe(plans.slice(0, plan.update).filter(({ phase, network }) => phase === 'distill' && network === 'generator').length);
          }
          if (plan.network === 'guidance') guidanceRate = plan.learningRate;
        }
      }),
    );
  });

  it('age the moments of the guidance network like any other update of it', () => {
    fc.assert(
      fc.property(interrupted, ({ spec, inserted }) => {
        const plans = plansOf(spec, inserted);
        const guidance = plans.filter(({ network }) => network === 'guidance');
        const generator = plans.filter(({ network, phase }) => network === 'generator' && phase === 'distill');
        for (const stretch of [guidance, generator]) expect(stretch.map((plan) => plan.networkUpdate)).toEqual(stretch.map((_, index) => index));
      }),
    );
  });

  it('change nothing that comes before them: a plan stays what it was, whatever is inserted later', () => {
    fc.assert(
      fc.property(interrupted, ({ spec, inserted }) => {
        const plans = plansOf(spec, inserted);
        inserted.forEach(({ at }, known) => {
          expect(plansOf(spec, inserted.slice(0, known)).slice(0, at)).toEqual(plans.slice(0, at));
        });
      }),
    );
  });

  it.each([
    ['before distill', [{ at: 3500, updates: 1 }]],
    ['at its very beginning', [{ at: 3650, updates: 1 }]],
    ['after its end', [{ at: 4850, updates: 1 }]],
    ['into another insertion', [{ at: 3700, updates: 10 }, { at: 3705, updates: 10 }]],
    ['right behind another one', [{ at: 3700, updates: 10 }, { at: 3710, updates: 10 }]],
    ['out of order', [{ at: 3800, updates: 10 }, { at: 3700, updates: 10 }]],
  ])('cannot be placed %s', (_, inserted) => {
    for (const use of [() => phaseRanges(mnist, inserted), () => totalUpdates(mnist, inserted), () => schedule(0, mnist, inserted)]) expect(use).toThrow(RangeError);
  });

  it('count as updates of the run, at its end as well', () => {
    const inserted = [{ at: 4800, updates: 30 }];
    expect(schedule(4879, mnist, inserted)).toMatchObject({ network: 'generator', generatorUpdates: 299 });
    expect(() => schedule(4880, mnist, inserted)).toThrow('update 4880 is outside the run of 4880 updates');
  });
});

describe('learningRate', () => {
  const optimizer: OptimizerSpec = { learningRate: 2, betas: [0.9, 0.99], epsilon: 1e-8, weightDecay: 0, clip: 0, warmup: 0, decay: 'constant', floor: 0.1 };

  it('is constant unless told, whatever the floor', () => {
    expect([0, 5, 9].map((step) => learningRate(optimizer, step, 10))).toEqual([2, 2, 2]);
  });

  it('warms up linearly and reaches the full rate at the last update of the warm-up', () => {
    expect([0, 1, 3, 4].map((step) => learningRate({ ...optimizer, warmup: 4 }, step, 10))).toEqual([0.5, 1, 2, 2]);
  });

  it('decays along half a cosine to the floor', () => {
    const cosine = { ...optimizer, decay: 'cosine' as const };
    expect(learningRate(cosine, 0, 10)).toBe(2);
    expect(learningRate(cosine, 5, 10)).toBeCloseTo(2 * 0.55, 12);
    expect(learningRate(cosine, 10, 10)).toBeCloseTo(2 * 0.1, 12);
  });

  it('decays over the updates of the network, alignment included', () => {
    const spec = parseRunSpec(text, ['phases.distill.guidance.optimizer.decay=cosine', 'phases.distill.generator.optimizer.decay=cosine']);
    const guidance = plansOf(spec).filter((plan) => plan.network === 'guidance');
    const generator = plansOf(spec).filter((plan) => plan.phase === 'distill' && plan.network === 'generator');
    for (const [stretch, rate] of [[guidance, 1e-3], [generator, 1e-4]] as const) {
      expect(stretch.map((plan) => plan.learningRate)).toEqual(stretch.map((_, step) => learningRate({ ...optimizer, learningRate: rate, decay: 'cosine', floor: 0 }, step, stretch.length)));
    }
  });
});
