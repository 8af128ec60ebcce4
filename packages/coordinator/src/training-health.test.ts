import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parseRunSpec, schedule, totalUpdates, type Network, type RunSpec } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { patience, requireFinite, TrainingHealth, type HealthNotice, type HealthState, type ObservedUpdate } from './training-health.js';

const yaml = readFileSync(new URL('../../core/fixtures/spec.yaml', import.meta.url), 'utf8');
const specOf = (...overrides: string[]): RunSpec => parseRunSpec(yaml, overrides);

/** 4 tune, 6 align, then 12 times 3 guidance : 1 generator. */
function shortSpec(...overrides: string[]): RunSpec {
  const { phases, ...rest } = specOf('phases.tune.updates=4', 'phases.distill.align=6', 'phases.distill.generatorUpdates=12', ...overrides);
  return { ...rest, phases: { tune: phases.tune, distill: phases.distill } };
}

const observed = (update: number, phase: ObservedUpdate['phase'], network: Network, loss: number, more: Partial<ObservedUpdate> = {}): ObservedUpdate => ({
  update,
  phase,
  network,
  committed: true,
  losses: { loss },
  skippedUpdates: 0,
  skippedInARow: 0,
  ...more,
});

/** Guidance updates of one phase, one after the other; returns what was noticed, as [index of the update, kind]. */
function feed(health: TrainingHealth, losses: readonly number[], phase: 'align' | 'distill' = 'distill'): [number, string][] {
  return losses.flatMap((loss, index) => health.observe(observed(index, phase, 'guidance', loss)).map(({ kind }): [number, string] => [index, kind]));
}

const times = (count: number, loss: number): number[] => new Array<number>(count).fill(loss);

interface Life {
  readonly plans: object[];
  readonly notices: (HealthNotice & { update: number })[];
  readonly state: HealthState;
  /** update with which the run failed */
  readonly failedAt: number | undefined;
}

/**
 * A run as the coordinator leads it, its losses a function of what has been done: schedule, update, observe, checkpoint at
 * every third update. At the updates in `kills` it starts again from the newest checkpoint.
 */
function live(spec: RunSpec, loss: (update: number) => number, kills: readonly number[] = []): Life {
  let health = new TrainingHealth(spec);
  let skipped = 0;
  let inARow = 0;
  let checkpoint = { update: 0, state: JSON.stringify(health.state), skipped, inARow };
  const open = [...kills];
  const plans: object[] = [];
  const notices: (HealthNotice & { update: number })[] = [];
  for (let update = 0; update < totalUpdates(spec, health.state.inserted); ) {
    if (open[0] !== undefined && update >= open[0]) {
      open.shift();
      ({ update, skipped, inARow } = checkpoint);
      health = new TrainingHealth(spec, JSON.parse(checkpoint.state));
      plans.length = update;
      notices.splice(0, Infinity, ...notices.filter((notice) => notice.update < update));
      continue;
    }
    const plan = schedule(update, spec, health.state.inserted);
    const value = loss(update);
    const committed = Number.isFinite(value);
    skipped += committed ? 0 : 1;
    inARow = committed ? 0 : inARow + 1;
    plans.push(plan);
    const told = health.observe(observed(update, plan.phase, plan.network, value, { committed, skippedUpdates: skipped, skippedInARow: inARow }));
    notices.push(...told.map((notice) => ({ ...notice, update })));
    try {
      requireFinite(spec, plan, { skippedInARow: inARow, skippedUpdates: skipped });
    } catch {
      return { plans, notices, state: health.state, failedAt: update };
    }
    update += 1;
    if (update % 3 === 0) checkpoint = { update, state: JSON.stringify(health.state), skipped, inARow };
  }
  return { plans, notices, state: health.state, failedAt: undefined };
}

describe('divergence', () => {
  const spec = specOf('health.guidanceAlarm={ window: 4, factor: 3 }');

  it('alarms once, when the average exceeds the factor, and tells the recovery once, below half-way', () => {
    const health = new TrainingHealth(spec);
    // Averages of four, the lowest of them 1: from the first 4 on 1.75, 2.5, 3.25, 4, 4, then 3.1, 2.2, 1.3
    expect(feed(health, [...times(6, 1), ...times(5, 4), ...times(8, 0.4)])).toEqual([
      [8, 'alarm'],
      [13, 'recovered'],
    ]);
    expect(health.state).toMatchObject({ alarmed: false, lowest: 0.4 });
  });

  it('is not alarmed by one outlier, nor by a loss that grows slowly within the factor', () => {
    const health = new TrainingHealth(spec);
    expect(feed(health, [...times(6, 1), 8, ...times(6, 1), ...Array.from({ length: 20 }, (_, i) => 1 + i * 0.1)])).toEqual([]);
  });

  it('compares with the first loss: a network that is lost at once does not hide it by never having been better', () => {
    expect(feed(new TrainingHealth(spec), [0.3, 2, 2, 2, 2])).toEqual([[1, 'alarm']]);
  });

  it('looks at the guidance network alone, in align and distill', () => {
    const health = new TrainingHealth(spec);
    feed(health, times(4, 1));
    for (const network of ['tune', 'regress', 'distill'] as const) expect(health.observe(observed(9, network, 'generator', 1e9))).toEqual([]);
    expect(health.state.losses).toEqual([1, 1, 1, 1]);
    expect(feed(health, times(3, 9), 'align')).toEqual([[1, 'alarm']]);
  });

  it('does not compare with zero', () => {
    expect(feed(new TrainingHealth(spec), [...times(4, 0), ...times(4, 0.02), ...times(4, 0.04)])).toEqual([[10, 'alarm']]);
  });

  it('leaves out losses that are not finite', () => {
    const health = new TrainingHealth(spec);
    expect(feed(health, [1, 1, NaN, Infinity, 1, -Infinity, 1, 1])).toEqual([]);
    expect(health.state).toMatchObject({ losses: [1, 1, 1, 1], lowest: 1 });
    expect(health.observe({ ...observed(8, 'distill', 'guidance', 1), losses: {} })).toEqual([]);
  });

  it('is watched by default, with 50 updates and factor 4', () => {
    expect(specOf().health).toBeUndefined();
    expect(feed(new TrainingHealth(specOf()), [...times(50, 1), ...times(60, 5)])).toEqual([[50 + 37, 'alarm']]); // (12 + 38 * 5) / 50 > 4
  });

  it('says figures', () => {
    const health = new TrainingHealth(spec);
    feed(health, times(4, 0.5));
    expect([2, 2, 2].flatMap((loss, index) => health.observe(observed(4 + index, 'distill', 'guidance', loss)))).toEqual([
      { kind: 'alarm', message: expect.stringMatching(/^the guidance loss diverges: 1\.63 on average over 4 updates, 3\.25 times its lowest value\. Lower/) as string },
    ]);
  });
});

describe('re-alignment', () => {
  const realign = (more = ''): RunSpec => shortSpec(`health.realign={ window: 3, factor: 2, updates: 5${more} }`);

  it('is inserted right behind the guidance update that showed the lag, and the cycle goes on where it was', () => {
    const spec = realign();
    // The last three of align average 1; from update 10 on it is 3.
    const { plans, notices, state } = live(spec, (update) => (update < 10 ? 1 : update < 18 ? 3 : 1.5));
    expect(state.inserted).toEqual([{ at: 13, updates: 5 }]);
    expect(notices).toEqual([{ update: 12, kind: 'realign', message: expect.stringContaining('is 3 times that at the end of the last alignment; 5 guidance updates are inserted') as string }]);
    expect(plans.slice(11, 20)).toMatchObject([
      { phase: 'distill', network: 'guidance', cycle: { position: 1 } },
      { phase: 'distill', network: 'guidance', cycle: { position: 2 } },
      ...times(5, 0).map((_, i) => ({ phase: 'align', phaseUpdate: i, network: 'guidance', networkUpdate: 9 + i })),
      { phase: 'distill', network: 'generator', cycle: { position: 3 }, generatorUpdates: 0 },
      { phase: 'distill', network: 'guidance', cycle: { position: 0 }, generatorUpdates: 1 },
    ]);
    expect(plans).toHaveLength(totalUpdates(spec) + 5);
  });

  it('sets the level that later ones are compared with', () => {
    const { state } = live(realign(), (update) => (update < 10 ? 1 : 3)); // the samples have changed for good: 3 is no lag any more
    expect(state).toMatchObject({ reference: 3, inserted: [{ at: 13, updates: 5 }] });
  });

  it('waits for a full window of the alternation before it judges', () => {
    const health = new TrainingHealth(realign());
    feed(health, times(6, 1), 'align');
    expect(feed(health, [9, 9], 'distill')).toEqual([]);
    expect(health.observe(observed(2, 'distill', 'generator', 9))).toEqual([]);
    expect(feed(health, [9], 'distill')).toEqual([[0, 'realign']]);
  });

  it('averages over an alignment that is shorter than the window alone', () => {
    const spec = shortSpec('health.realign={ window: 8, factor: 2, updates: 3 }');
    const { state } = live(spec, (update) => (update < 10 ? 1 + (update % 2) : update < 18 ? 4 : 5));
    // align: 1, 2, 1, 2, 1, 2. The first eight guidance updates of distill end at update 19, with generator updates at 13 and 17.
    expect(state.inserted).toEqual([{ at: 20, updates: 3 }]);
    expect(state.reference).toBe(5);
  });

  it('ends at the limit, which is told once', () => {
    const doubling = (update: number): number => 3 ** Math.floor(update / 8);
    const { state, notices } = live(realign(', limit: 2'), doubling);
    expect(state.inserted).toHaveLength(2);
    expect(notices.filter(({ message }) => message.includes('lags')).map(({ kind }) => kind)).toEqual(['realign', 'realign', 'alarm']);
    expect(notices.at(-1)?.message).toContain('health.realign.limit');
  });

  it('does not happen unless asked for', () => {
    expect(live(shortSpec(), (update) => 2 ** update).state.inserted).toEqual([]);
  });

  it('cannot be decided while there is nothing to compare with', () => {
    const health = new TrainingHealth(realign());
    for (let update = 4; update < 10; update++) health.observe(observed(update, 'align', 'guidance', NaN, { committed: false, skippedUpdates: update, skippedInARow: update }));
    expect(feed(health, times(20, 9), 'distill')).toEqual([]);
  });
});

describe('skipped updates', () => {
  const skip = (skippedUpdates: number): ObservedUpdate => observed(100 + skippedUpdates, 'distill', 'generator', NaN, { committed: false, skippedUpdates, skippedInARow: 1 });

  it('are told with their count, the first and whenever it has doubled', () => {
    const health = new TrainingHealth(specOf());
    const told = Array.from({ length: 1_000 }, (_, index) => health.observe(skip(index + 1))).flatMap((notices, index) => (notices.length > 0 ? index + 1 : []));
    expect(told).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    expect(health.observe(skip(1))).toEqual([{ kind: 'skipped', message: 'update 101 is skipped, its gradient is not finite; 1 skipped in all, 1 in a row' }]);
  });

  it('do not enter an average', () => {
    const health = new TrainingHealth(specOf());
    health.observe({ ...skip(1), network: 'guidance', losses: { loss: 3 } });
    expect(health.state.losses).toEqual([]);
  });

  it('end the run at the limit, naming the network and how many there were', () => {
    const spec = shortSpec('nonFiniteLimit=3');
    expect(() => requireFinite(spec, schedule(11, spec), { skippedInARow: 2, skippedUpdates: 9 })).not.toThrow();
    for (const [update, field] of [
      [0, 'phases.tune.optimizer.learningRate'],
      [4, 'phases.distill.guidance.optimizer.learningRate'],
      [10, 'phases.distill.guidance.optimizer.learningRate'],
      [13, 'phases.distill.generator.optimizer.learningRate'],
    ] as const) {
      expect(() => requireFinite(spec, schedule(update, spec), { skippedInARow: 3, skippedUpdates: 9 })).toThrow(
        expect.objectContaining({ code: 'NON_FINITE', field, message: expect.stringContaining('3 updates in a row had a gradient that is not finite; 9 were skipped in all') as string }),
      );
    }
  });
});

describe('state', () => {
  const spec = shortSpec('health.guidanceAlarm={ window: 4, factor: 1.5 }', 'health.realign={ window: 3, factor: 1.2, updates: 2, limit: 3 }');
  const losses = fc.array(fc.oneof({ weight: 9, arbitrary: fc.double({ min: 0, max: 10, noNaN: true }) }, { weight: 1, arbitrary: fc.constant(NaN) }), { minLength: 80, maxLength: 80 });

  it('a run that is killed anywhere, any number of times, decides what an undisturbed one does', () => {
    let insertions = 0;
    let alarms = 0;
    fc.assert(
      fc.property(losses, fc.array(fc.nat(70), { maxLength: 6 }), (values, kills) => {
        const loss = (update: number): number => values[update] ?? 1;
        const undisturbed = live(spec, loss);
        insertions += undisturbed.state.inserted.length;
        alarms += undisturbed.notices.filter(({ kind }) => kind === 'alarm').length;
        expect(live(spec, loss, kills.sort((a, b) => a - b))).toEqual(undisturbed);
      }),
    );
    expect(Math.min(insertions, alarms)).toBeGreaterThan(50); // otherwise nothing was tested
  });

  it('a run that is killed within a row of skipped updates fails at the same update', () => {
    const ends = new Set<number | undefined>();
    fc.assert(
      fc.property(fc.nat(60), fc.integer({ min: 1, max: 6 }), fc.array(fc.nat(70), { maxLength: 6 }), (from, length, kills) => {
        const strict = { ...spec, nonFiniteLimit: 4 };
        const loss = (update: number): number => (update >= from && update < from + length ? NaN : 1);
        const undisturbed = live(strict, loss);
        ends.add(undisturbed.failedAt);
        expect(undisturbed.failedAt).toBe(length < 4 || from + 3 >= totalUpdates(strict) ? undefined : from + 3);
        expect(live(strict, loss, kills.sort((a, b) => a - b))).toEqual(undisturbed);
      }),
    );
    expect(ends.size).toBeGreaterThan(5);
  });

  it('of a moment stays as it is while the run goes on', () => {
    const health = new TrainingHealth(spec);
    feed(health, times(4, 1), 'align');
    const state = health.state;
    const before = structuredClone(state);
    feed(health, times(9, 7));
    expect(state).toEqual(before);
    expect(health.state).not.toEqual(before);
  });

  it('is small: 1,000 losses and 100 insertions fit 32 KiB', () => {
    const health = new TrainingHealth(shortSpec('health.realign={ window: 1000, limit: 100 }'), { losses: [], alarmed: false, exhausted: false, inserted: Array.from({ length: 100 }, (_, i) => ({ at: 10_000_000 + i * 100_000, updates: 100_000 })) });
    feed(health, Array.from({ length: 5_000 }, (_, i) => Math.fround(Math.PI * (1 + i / 7))));
    expect(health.state.losses).toHaveLength(1_000);
    expect(JSON.stringify(health.state).length).toBeLessThan(32 * 1024);
  });

  it.each([
    ['nothing', null],
    ['an empty object', {}],
    ['a loss that JSON could not hold', { losses: [null], alarmed: false, inserted: [], exhausted: false }],
    ['an insertion before the run', { losses: [], alarmed: false, inserted: [{ at: -1, updates: 3 }], exhausted: false }],
    ['more than it can hold', { losses: times(1_001, 1), alarmed: false, inserted: [], exhausted: false }],
    ['a later format', { losses: [], alarmed: false, inserted: [], exhausted: false, more: 1 }],
  ])('that a checkpoint cannot have written is refused: %s', (_, state) => {
    expect(() => new TrainingHealth(spec, state)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }));
  });
});

interface Recording {
  readonly align: number;
  readonly losses: readonly number[];
}

/** Guidance losses of real distillations on MNIST: configs/mnist.yaml and mnist-pure.yaml as they are, and with other guidance learning rates. */
describe('recorded runs', () => {
  const recordings = JSON.parse(readFileSync(new URL('../fixtures/guidance-losses.json', import.meta.url), 'utf8')) as Record<string, Recording>;

  /** What is noticed first in a run with these losses: a recording does not react to it. */
  function firstNotice({ align, losses }: Recording, ...sets: string[]): string | undefined {
    const health = new TrainingHealth(specOf(...sets));
    return [...feed(health, losses.slice(0, align), 'align'), ...feed(health, losses.slice(align), 'distill')][0]?.[1];
  }

  const named = (prefix: string): [string, Recording][] => Object.entries(recordings).filter(([name]) => name.startsWith(prefix));

  it.each(named('healthy'))('%s: no alarm, no re-alignment', (_, recording) => {
    expect(firstNotice(recording, 'health.realign={}')).toBeUndefined();
  });

  it.each(named('lagging'))('%s: re-aligned, no alarm', (_, recording) => {
    expect(firstNotice(recording, 'health.realign={}')).toBe('realign');
    expect(firstNotice(recording)).toBeUndefined();
  });

  it.each(named('diverging'))('%s: alarm, without being asked', (_, recording) => {
    expect(firstNotice(recording)).toBe('alarm');
  });

  it('are there, two seeds of each', () => {
    expect(['healthy', 'lagging', 'diverging'].map((prefix) => named(prefix).length)).toEqual([4, 2, 2]);
  });
});

describe('patience', () => {
  const rule = (evaluations: number, minimumImprovement = 0): RunSpec => specOf(`health.patience={ evaluations: ${evaluations}, minimumImprovement: ${minimumImprovement} }`);
  /** A curve with a point every 100 updates, 25 generator updates. */
  const curve = (...fids: number[]): { update: number; generatorUpdates: number; fid: number }[] => fids.map((fid, i) => ({ update: 100 * (i + 1), generatorUpdates: 25 * (i + 1), fid }));

  it('ends at the best evaluation once as many in a row were not better', () => {
    expect(patience(rule(2), curve(9, 8, 8.5, 8.2))).toEqual({ stop: true, best: 200, after: 400, needed: [200] });
    expect(patience(rule(2), curve(9, 8, 8.5, 7.9, 8.1))).toEqual({ stop: false, needed: [400] });
    expect(patience(rule(2), [])).toEqual({ stop: false, needed: [] });
  });

  it('does not change its mind when the run had gone on and became better', () => {
    expect(patience(rule(2), curve(9, 8, 8.5, 8.2, 5))).toEqual({ stop: true, best: 200, after: 400, needed: [200] });
  });

  it('counts an equal FID as no improvement, and ends at the earlier one', () => {
    expect(patience(rule(2), curve(8, 8, 8))).toMatchObject({ stop: true, best: 100, after: 300 });
  });

  it('asks for the minimum improvement over the last improvement, so that slow progress adds up; the lowest FID is the result all the same', () => {
    expect(patience(rule(2, 0.5), curve(9, 8.7, 8.4, 8.1, 7.8))).toMatchObject({ stop: false });
    expect(patience(rule(2, 0.5), curve(9, 8.7, 8.6))).toMatchObject({ stop: true, best: 300, after: 300 });
    expect(patience(rule(2, 0.5), curve(9, 8.5, 8.6))).toMatchObject({ stop: true, best: 200, after: 300 }); // by exactly the minimum is not by more
  });

  it('leaves out what was measured before distill', () => {
    const before = [4, 1].map((fid, i) => ({ update: 10 * i + 10, generatorUpdates: 0, fid }));
    expect(patience(rule(2), [...before, ...curve(9, 8, 7)])).toEqual({ stop: false, needed: [300] });
    expect(patience(rule(1), [...before, ...curve(9, 9.5)])).toMatchObject({ stop: true, best: 100 });
  });

  it('takes an FID that is not a number for one that is no better, and never for the result', () => {
    expect(patience(rule(1), curve(NaN, NaN, 9))).toEqual({ stop: false, needed: [300] });
    expect(patience(rule(1), curve(9, NaN))).toMatchObject({ stop: true, best: 100, after: 200 });
  });

  it('is off unless asked for', () => {
    expect(patience(specOf(), curve(...times(100, 9)))).toEqual({ stop: false, needed: [] });
  });

  it('looks no further than the first evaluation that is open, and holds what the decision may still need', () => {
    const [first, second, third, fourth] = curve(8, 9, 9, 7) as [Point, Point, Point, Point];
    expect(patience(rule(2), [first, third, fourth], [200])).toEqual({ stop: false, needed: [100, 300, 400] });
    expect(patience(rule(2), [first, second, third, fourth])).toEqual({ stop: true, best: 100, after: 300, needed: [100] });
  });

  type Point = ReturnType<typeof curve>[number];

  it('comes to the same end, in whatever order the evaluations arrive, and has held its checkpoint all the time', () => {
    const fids = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 14 });
    let stops = 0;
    fc.assert(
      fc.property(fids, fc.integer({ min: 1, max: 4 }), fc.nat(2), fc.array(fc.nat(), { minLength: 14, maxLength: 14 }), (values, evaluations, minimum, keys) => {
        const spec = rule(evaluations, minimum);
        const all = curve(...values);
        const inTime = all.map((_, i) => patience(spec, all.slice(0, i + 1))).find(({ stop }) => stop);
        const order = all.map((point, i) => ({ point, key: keys[i] ?? 0 })).sort((a, b) => a.key - b.key);
        const held: (readonly number[])[] = [];
        let late = patience(spec, []);
        for (let arrived = 1; arrived <= all.length; arrived++) {
          const there = order.slice(0, arrived).map(({ point }) => point);
          const open = order.slice(arrived).map(({ point }) => point.update);
          late = patience(spec, there, open);
          // Until it is decided, whatever it may end at is either held or still to be measured.
          held.push([...late.needed, ...open]);
          if (late.stop) break;
        }
        if (!inTime?.stop || !late.stop) {
          expect(late.stop).toBe(inTime?.stop ?? false);
          return;
        }
        stops += 1;
        const { best } = inTime;
        expect(late).toEqual(inTime);
        expect(held.every((updates) => updates.includes(best))).toBe(true);
      }),
    );
    expect(stops).toBeGreaterThan(20);
  });
});
