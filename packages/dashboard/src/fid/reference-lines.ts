import type { EvaluationJson } from '@dd2/proto/run-messages';
import { figureText } from './figure-text.js';
import { rulerOf, type FidPoint } from './fid-point.js';
import type { FidLine } from './fid-lines.js';

/** Samplers that the curve is seen against: what it should reach, what limits it, and what it must beat. */
export const referenceSamplers = ['teacher', 'reconstruction', 'naive'] as const;
export type ReferenceSampler = (typeof referenceSamplers)[number];

export interface ReferenceLine {
  readonly sampler: ReferenceSampler;
  readonly point: FidPoint;
  /** "teacher 6.91 (2,000 samples)" */
  readonly label: string;
  /** whether it was measured with as many samples as the curve */
  readonly sameSamples: boolean;
}

/**
 * The reference measurement for each sampler that has one, for a curve of `line.runId`: of the same ruler; preferably with the
 * same number of samples, then of the same run, then with the nearest number of samples, then the newest.
 */
export function chooseReferences(line: Pick<FidLine, 'runId' | 'ruler' | 'samples'>, points: readonly FidPoint[]): ReferenceLine[] {
  return referenceSamplers.flatMap((sampler) => {
    const [point] = points
      .filter((candidate) => candidate.sampler === sampler && rulerOf(candidate) === line.ruler)
      .sort(
        (a, b) =>
          Number(b.samples === line.samples) - Number(a.samples === line.samples) ||
          Number(b.runId === line.runId) - Number(a.runId === line.runId) ||
          Math.abs(Math.log(a.samples / line.samples)) - Math.abs(Math.log(b.samples / line.samples)) ||
          b.update - a.update,
      );
    if (!point) return [];
    const owner = point.runId === line.runId ? '' : ` of ${point.runId}`;
    const label = `${sampler} ${figureText(point)}${owner}`;
    return { sampler, point, label, sameSamples: point.samples === line.samples };
  });
}

/** Reference samplers that no measurement with the curve's number of samples exists for. */
export function missingReferences(line: Pick<FidLine, 'samples'>, references: readonly ReferenceLine[]): ReferenceSampler[] {
  return referenceSamplers.filter((sampler) => !references.some((reference) => reference.sampler === sampler && reference.point.samples === line.samples));
}

/** Reference samplers that are asked for with the curve's number of samples and not measured yet, whoever asked. */
export function pendingReferences({ samples }: Pick<FidLine, 'samples'>, evaluations: readonly EvaluationJson[]): ReferenceSampler[] {
  const open = evaluations.filter((evaluation) => evaluation.samples === samples && (evaluation.state === 'EVALUATION_STATE_QUEUED' || evaluation.state === 'EVALUATION_STATE_RUNNING'));
  return referenceSamplers.filter((sampler) => open.some((evaluation) => evaluation.sampler === sampler));
}
