import type { EvaluationJson } from '@dd2/proto/run-messages';

/**
 * Why a checkpoint was measured: `periodic` ones make the curve, all with the same noise; the `final` one ends the run with noise
 * that none before has seen; `asked` ones were asked for by people.
 */
export type FidKind = 'periodic' | 'final' | 'asked';

/** One complete measurement with all that decides about its value. */
export interface FidPoint {
  readonly runId: string;
  readonly evaluationId: string;
  readonly kind: FidKind;
  /** one-step, multi-step-8, teacher, ... */
  readonly sampler: string;
  readonly update: number;
  readonly generatorUpdates: number;
  readonly fid: number;
  /** of fid, from the finite number of samples; absent when it was not computed */
  readonly standardError: number | undefined;
  readonly samples: number;
  /** fraction that the classifier assigns to the wanted class */
  readonly accuracy: number | undefined;
  readonly noiseSeed: string;
  readonly featureNetworkSha256: string;
  readonly referenceSha256: string;
  readonly hasGrid: boolean;
}

/** The measurements of a run that are complete and finite, ascending by update. */
export function fidPoints(runId: string, evaluations: readonly EvaluationJson[]): FidPoint[] {
  return evaluations.flatMap((evaluation) => fidPoint(runId, evaluation) ?? []).sort((a, b) => a.update - b.update || a.evaluationId.localeCompare(b.evaluationId, 'en', { numeric: true }));
}

function fidPoint(runId: string, evaluation: EvaluationJson): FidPoint | undefined {
  const { evaluationId = '', update = 0, sampler = '', state } = evaluation;
  const fid = finite(evaluation.fid);
  if (state !== 'EVALUATION_STATE_COMPLETED' || fid === undefined) return undefined;
  const standardError = finite(evaluation.fidStandardError);
  return {
    runId,
    evaluationId,
    kind: kindOf(evaluationId, update),
    sampler,
    update,
    generatorUpdates: evaluation.generatorUpdates ?? 0,
    fid,
    standardError: standardError !== undefined && standardError > 0 ? standardError : undefined,
    samples: evaluation.samples ?? 0,
    accuracy: finite(evaluation.accuracy),
    noiseSeed: evaluation.noiseSeed ?? '',
    featureNetworkSha256: evaluation.featureNetworkSha256 ?? '',
    referenceSha256: evaluation.referenceSha256 ?? '',
    hasGrid: evaluation.hasGrid ?? false,
  };
}

/** The id of an evaluation says why it was made. */
export function kindOf(evaluationId: string, update: number): FidKind {
  if (evaluationId === String(update)) return 'periodic';
  return evaluationId === `${update}-final` ? 'final' : 'asked';
}

/** What a distance is measured with. Figures of different rulers have nothing to do with each other. */
export function rulerOf({ referenceSha256, featureNetworkSha256 }: Pick<FidPoint, 'referenceSha256' | 'featureNetworkSha256'>): string {
  return `${referenceSha256}/${featureNetworkSha256}`;
}

/** Half the width of the 95 % confidence interval of a normal distribution, in standard errors. */
const Z_95 = 1.96;

/** Where the true value lies in 95 of 100 cases; a distance is never below 0. */
export function confidenceOf({ fid, standardError }: Pick<FidPoint, 'fid' | 'standardError'>): { readonly lower: number; readonly upper: number } | undefined {
  if (standardError === undefined) return undefined;
  return { lower: Math.max(0, fid - Z_95 * standardError), upper: fid + Z_95 * standardError };
}

/** The lowest FID; of equal ones the earlier. */
export function bestOf<Point extends Pick<FidPoint, 'fid'>>(points: readonly Point[]): Point | undefined {
  return points.reduce<Point | undefined>((best, point) => (point.fid < (best?.fid ?? Infinity) ? point : best), undefined);
}

/** ProtoJSON writes a number that is not finite as text. */
function finite(value: number | string | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
