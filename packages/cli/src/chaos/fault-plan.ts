import { fillUniform } from '@dd2/core';

export const faultTargets = ['worker', 'coordinator', 'store'] as const;
export type FaultTarget = (typeof faultTargets)[number];

/** What happens to a process, as it is told afterwards; a store that is emptied is killed and loses its files. */
export const faultKinds = ['killed', 'frozen', 'emptied'] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  /** since the loop began */
  readonly atMs: number;
  readonly target: FaultTarget;
  /** in (0, 1): which process of that target, where there are several */
  readonly victim: number;
  readonly kind: FaultKind;
  /** how long a frozen process is stopped, and whether it is killed then instead of going on */
  readonly frozenMs: number;
  readonly killedThen: boolean;
}

export interface FaultPlanOptions {
  readonly seed: number;
  /** mean time between two faults */
  readonly mtbfMs: number;
  readonly targets: readonly FaultTarget[];
}

const FROZEN_SHARE = 0.25;
const EMPTIED_SHARE = 0.25;
const SHORTEST_FREEZE_MS = 1_000;
const LONGEST_FREEZE_MS = 4_000;

/** Faults without end, at exponential distances; the same seed gives the same ones. */
export function* faultPlan({ seed, mtbfMs, targets }: FaultPlanOptions): Generator<Fault, never> {
  let atMs = 0;
  for (let index = 0; ; index++) {
    const draws = new Float32Array(6);
    fillUniform(draws, { seed, update: 0, stream: 'chaos' }, [index]);
    const [distance = 0.5, which = 0.5, victim = 0.5, how = 0.5, frozen = 0.5, then = 0.5] = draws;
    atMs -= mtbfMs * Math.log(distance);
    const target = targets[Math.floor(which * targets.length)] ?? 'worker';
    yield {
      atMs,
      target,
      victim,
      kind: how < FROZEN_SHARE ? 'frozen' : target === 'store' && how < FROZEN_SHARE + EMPTIED_SHARE ? 'emptied' : 'killed',
      frozenMs: SHORTEST_FREEZE_MS + frozen * (LONGEST_FREEZE_MS - SHORTEST_FREEZE_MS),
      killedThen: then < 0.5,
    };
  }
}
