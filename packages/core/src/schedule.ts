import type { OptimizerSpec, RunSpec } from './run-spec.js';

export type Phase = 'tune' | 'regress' | 'align' | 'distill';
export type Network = 'generator' | 'guidance';

/**
 * Guidance updates that the spec does not declare: a re-alignment in the middle of distill. What a run has inserted so far
 * is part of its state, in ascending order, and each insertion lies inside distill, after at least one of its updates.
 */
export interface Insertion {
  /** number of the first inserted update, earlier insertions counted */
  readonly at: number;
  readonly updates: number;
}

/**
 * What one update does. It is a pure function of the spec, of the update's number and of the insertions before it: any
 * coordinator computes the same, and an insertion changes no plan of an earlier update.
 */
export interface UpdatePlan {
  /** counts from 0 over the whole run */
  readonly update: number;
  /** `align` for inserted updates, too */
  readonly phase: Phase;
  /** counts from 0 within the phase, and anew when distill goes on after an insertion */
  readonly phaseUpdate: number;
  /** the network whose parameters this update changes */
  readonly network: Network;
  /** optimizer steps of this network before this one, in this phase or, for the guidance network, since align began: the age of its moments */
  readonly networkUpdate: number;
  /** generator updates of the phase distill that are complete before this update */
  readonly generatorUpdates: number;
  readonly batch: number;
  readonly microBatches: number;
  readonly learningRate: number;
  readonly optimizer: OptimizerSpec;
  /** position in the declared cycle, in distill only: 0 .. length - 1, guidance updates first */
  readonly cycle?: { readonly position: number; readonly length: number };
}

export interface PhaseRange {
  readonly phase: Phase;
  /** first update of the phase, and the first one after it */
  readonly from: number;
  readonly to: number;
}

/**
 * The phases of a run in order, without gaps; phases that the spec leaves out are absent. An insertion cuts distill in two,
 * with align in between.
 * @throws {RangeError} when an insertion does not lie inside distill
 */
export function phaseRanges(spec: RunSpec, inserted: readonly Insertion[] = []): PhaseRange[] {
  const { tune, regress, distill } = spec.phases;
  const { guidance, generator } = distill.cycle;
  // The run ends with its last generator update: guidance updates after it would change nothing that is exported.
  const fullCycles = Math.floor((distill.generatorUpdates - 1) / generator);
  const lastCycle = guidance + (distill.generatorUpdates - fullCycles * generator);
  const lengths: [Phase, number][] = [
    ['tune', tune.updates],
    ['regress', regress?.updates ?? 0],
    ['align', distill.align],
  ];
  const ranges: PhaseRange[] = [];
  let from = 0;
  for (const [phase, length] of lengths) {
    if (length > 0) ranges.push({ phase, from, to: from + length });
    from += length;
  }
  let to = from + fullCycles * (guidance + generator) + lastCycle;
  for (const { at, updates } of inserted) {
    if (at <= from || at >= to) throw new RangeError(`updates cannot be inserted at ${at}, only from ${from + 1} to ${to - 1}`);
    ranges.push({ phase: 'distill', from, to: at }, { phase: 'align', from: at, to: at + updates });
    from = at + updates;
    to += updates;
  }
  return [...ranges, { phase: 'distill', from, to }];
}

/** Updates of the whole run. */
export function totalUpdates(spec: RunSpec, inserted: readonly Insertion[] = []): number {
  return phaseRanges(spec, inserted).at(-1)?.to ?? 0;
}

/** @throws {RangeError} when the update lies outside the run, or an insertion outside distill */
export function schedule(update: number, spec: RunSpec, inserted: readonly Insertion[] = []): UpdatePlan {
  const ranges = phaseRanges(spec, inserted);
  const range = ranges.find((r) => update >= r.from && update < r.to);
  if (!range || !Number.isInteger(update)) throw new RangeError(`update ${update} is outside the run of ${totalUpdates(spec, inserted)} updates`);
  const { phase } = range;
  const { tune, regress, distill } = spec.phases;
  const position = { update, phase, phaseUpdate: update - range.from };

  if (phase === 'tune' || phase === 'regress') {
    const settings = phase === 'tune' ? tune : (regress ?? tune);
    return {
      ...position,
      network: 'generator',
      networkUpdate: position.phaseUpdate,
      generatorUpdates: 0,
      batch: settings.batch,
      microBatches: settings.microBatches,
      optimizer: settings.optimizer,
      learningRate: learningRate(settings.optimizer, position.phaseUpdate, range.to - range.from),
    };
  }

  const { guidance, generator } = distill.cycle;
  const cycleLength = guidance + generator;
  const start = ranges.find((r) => r.phase === 'distill')?.from ?? 0;
  const before = inserted.filter(({ at }) => at <= update);
  /** inserted updates that are complete before this one */
  const extra = before.reduce((sum, { at, updates }) => sum + Math.min(updates, update - at), 0);
  /** declared updates of distill that are complete before this one; the cycle goes on where an insertion has interrupted it */
  const declared = Math.max(0, update - start - extra);
  const inCycle = declared % cycleLength;
  const cycles = Math.floor(declared / cycleLength);
  const generatorUpdates = cycles * generator + Math.max(0, inCycle - guidance);
  const network: Network = phase === 'align' || inCycle < guidance ? 'guidance' : 'generator';
  // Alignment and alternation are one stretch of training for the guidance network: its moments carry over.
  const aligned = Math.min(distill.align, distill.align + update - start);
  const guidanceUpdates = aligned + cycles * guidance + Math.min(inCycle, guidance);
  const settings = distill[network];
  // Insertions leave the rates of the declared updates as they are; an inserted one has the rate of the guidance update before it.
  const isInserted = phase === 'align' && update > start;
  const step = network === 'generator' ? generatorUpdates : guidanceUpdates - (isInserted ? 1 : 0);
  const steps = network === 'generator' ? distill.generatorUpdates : distill.align + Math.ceil(distill.generatorUpdates / generator) * guidance;
  return {
    ...position,
    network,
    networkUpdate: network === 'generator' ? generatorUpdates : guidanceUpdates + extra,
    generatorUpdates,
    batch: settings.batch,
    microBatches: settings.microBatches,
    optimizer: settings.optimizer,
    learningRate: learningRate(settings.optimizer, step, steps),
    ...(phase === 'distill' ? { cycle: { position: inCycle, length: cycleLength } } : {}),
  };
}

/** Linear warm-up times constant or cosine decay; `step` counts from 0, `total` steps in all. */
export function learningRate(optimizer: OptimizerSpec, step: number, total: number): number {
  const warm = optimizer.warmup > 0 ? Math.min(1, (step + 1) / optimizer.warmup) : 1;
  const cosine = optimizer.floor + (1 - optimizer.floor) * 0.5 * (1 + Math.cos((Math.PI * step) / total));
  return optimizer.learningRate * warm * (optimizer.decay === 'cosine' ? cosine : 1);
}
