import type { OptimizerSpec, RunSpec } from './run-spec.js';

export type Phase = 'tune' | 'regress' | 'align' | 'distill';
export type Network = 'generator' | 'guidance';

/** What one update does. It is a pure function of the spec and of the update's number: any coordinator computes the same. */
export interface UpdatePlan {
  /** counts from 0 over the whole run */
  readonly update: number;
  readonly phase: Phase;
  /** counts from 0 within the phase */
  readonly phaseUpdate: number;
  /** the network whose parameters this update changes */
  readonly network: Network;
  /** optimizer steps of this network in this phase before this one: the age of its moments */
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

/** The phases of a run in order, without gaps; phases that the spec leaves out are absent. */
export function phaseRanges(spec: RunSpec): PhaseRange[] {
  const { tune, regress, distill } = spec.phases;
  const { guidance, generator } = distill.cycle;
  // The run ends with its last generator update: guidance updates after it would change nothing that is exported.
  const fullCycles = Math.floor((distill.generatorUpdates - 1) / generator);
  const lastCycle = guidance + (distill.generatorUpdates - fullCycles * generator);
  const lengths: [Phase, number][] = [
    ['tune', tune.updates],
    ['regress', regress?.updates ?? 0],
    ['align', distill.align],
    ['distill', fullCycles * (guidance + generator) + lastCycle],
  ];
  const ranges: PhaseRange[] = [];
  let from = 0;
  for (const [phase, length] of lengths) {
    if (length > 0) ranges.push({ phase, from, to: from + length });
    from += length;
  }
  return ranges;
}

/** Updates of the whole run. */
export function totalUpdates(spec: RunSpec): number {
  return phaseRanges(spec).at(-1)?.to ?? 0;
}

/** @throws {RangeError} when the update lies outside the run */
export function schedule(update: number, spec: RunSpec): UpdatePlan {
  const range = phaseRanges(spec).find((r) => update >= r.from && update < r.to);
  if (!range || !Number.isInteger(update)) throw new RangeError(`update ${update} is outside the run of ${totalUpdates(spec)} updates`);
  const { phase } = range;
  const phaseUpdate = update - range.from;
  const { tune, regress, distill } = spec.phases;
  const position = { update, phase, phaseUpdate };
  const length = range.to - range.from;

  if (phase === 'tune' || phase === 'regress') {
    const settings = phase === 'tune' ? tune : (regress ?? tune);
    return {
      ...position,
      network: 'generator',
      networkUpdate: phaseUpdate,
      generatorUpdates: 0,
      batch: settings.batch,
      microBatches: settings.microBatches,
      optimizer: settings.optimizer,
      learningRate: learningRate(settings.optimizer, phaseUpdate, length),
    };
  }

  const { guidance, generator } = distill.cycle;
  const cycleLength = guidance + generator;
  const inCycle = phase === 'align' ? 0 : phaseUpdate % cycleLength;
  const cycles = phase === 'align' ? 0 : Math.floor(phaseUpdate / cycleLength);
  const generatorUpdates = cycles * generator + Math.max(0, inCycle - guidance);
  const network: Network = phase === 'align' || inCycle < guidance ? 'guidance' : 'generator';
  // Alignment and alternation are one stretch of training for the guidance network: its moments carry over.
  const guidanceUpdates = phase === 'align' ? phaseUpdate : distill.align + cycles * guidance + Math.min(inCycle, guidance);
  const networkUpdate = network === 'guidance' ? guidanceUpdates : generatorUpdates;
  const settings = distill[network];
  const networkTotal = network === 'generator' ? distill.generatorUpdates : distill.align + Math.ceil(distill.generatorUpdates / generator) * guidance;
  return {
    ...position,
    network,
    networkUpdate,
    generatorUpdates,
    batch: settings.batch,
    microBatches: settings.microBatches,
    optimizer: settings.optimizer,
    learningRate: learningRate(settings.optimizer, networkUpdate, networkTotal),
    ...(phase === 'distill' ? { cycle: { position: inCycle, length: cycleLength } } : {}),
  };
}

/** Linear warm-up times constant or cosine decay; `step` counts from 0, `total` steps in all. */
export function learningRate(optimizer: OptimizerSpec, step: number, total: number): number {
  const warm = optimizer.warmup > 0 ? Math.min(1, (step + 1) / optimizer.warmup) : 1;
  const cosine = optimizer.floor + (1 - optimizer.floor) * 0.5 * (1 + Math.cos((Math.PI * step) / total));
  return optimizer.learningRate * warm * (optimizer.decay === 'cosine' ? cosine : 1);
}
