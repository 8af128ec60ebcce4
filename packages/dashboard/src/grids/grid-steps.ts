import type { FidPoint } from '../fid/fid-point.js';

/** A step of the slider: a periodic measurement with its sample grid. */
export type GridStep = FidPoint;

/**
 * The steps of a run, ascending by update: those whose grids were made with the noise that most of them have, so that the same
 * cell is the same noise at each step.
 */
export function gridSteps(points: readonly FidPoint[], runId: string): GridStep[] {
  const grids = points.filter((point) => point.runId === runId && point.kind === 'periodic' && point.hasGrid);
  const seeds = new Map<string, number>();
  for (const { noiseSeed } of grids) seeds.set(noiseSeed, (seeds.get(noiseSeed) ?? 0) + 1);
  const [usual] = [...seeds].sort((a, b) => b[1] - a[1])[0] ?? [];
  return grids.filter(({ noiseSeed }) => noiseSeed === usual).sort((a, b) => a.update - b.update);
}

/**
 * Index of the step that is nearest to `wanted`, where `placeOf` says where a step is; of two that are equally near the later, -1
 * without steps. Steps of unknown place are left out.
 */
export function nearestStep<Step>(steps: readonly Step[], wanted: number, placeOf: (step: Step) => number | undefined): number {
  let nearest = -1;
  let least = Infinity;
  steps.forEach((step, index) => {
    const place = placeOf(step);
    if (place === undefined) return;
    const distance = Math.abs(place - wanted);
    if (distance <= least) [nearest, least] = [index, distance];
  });
  return nearest;
}

/** The order in which grids are loaded: the one that is shown, then its neighbours on both sides, then theirs; at most `limit`. */
export function loadingOrder(count: number, current: number, limit = count): number[] {
  return Array.from({ length: count }, (_, index) => index)
    .sort((a, b) => Math.abs(a - current) - Math.abs(b - current) || b - a)
    .slice(0, limit);
}
