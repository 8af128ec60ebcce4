import { EvaluationState, type Evaluation, type Run } from '@dd2/proto';
import { formatFid, formatCount } from './render/format.js';
import type { Curve, Reference } from './render/curve-plot.js';

/** The periodic evaluations of a run as a curve over updates, and what it is measured against. */
export interface FidCurve {
  readonly curve: Curve;
  readonly references: readonly Reference[];
}

/**
 * What there is to draw of a run. The curve holds the periodic evaluations, which are all measured the same way; a reference may
 * have another number of samples, which is why both are told.
 */
export function fidCurveOf(run: Pick<Run, 'fidCurve'>, evaluations: readonly Evaluation[]): FidCurve {
  const complete = evaluations.filter(({ state }) => state === EvaluationState.COMPLETED);
  const periodic = complete.filter(({ evaluationId, update, sampler }) => evaluationId === String(update) && sampler === 'one-step');
  const points = (periodic.length > 0 ? periodic : run.fidCurve).map(({ update, fid }) => ({ x: update, y: fid }));
  const samples = periodic.at(-1)?.samples;
  const teacher = complete.findLast(({ sampler }) => sampler === 'teacher');
  return {
    curve: { label: samples === undefined ? 'FID' : `FID of ${formatCount(samples)} samples`, points },
    references: teacher === undefined ? [] : [{ label: `teacher ${formatFid(teacher.fid, teacher.samples)}`, y: teacher.fid }],
  };
}

