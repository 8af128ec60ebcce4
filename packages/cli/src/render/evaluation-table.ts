import { EvaluationState, type Evaluation } from '@dd2/proto';
import { formatCount } from './format.js';
import { renderTable, type TableOptions } from './table.js';

/** What of a measurement is shown; `Evaluation` of the wire has it all. */
export type ShownEvaluation = Pick<Evaluation, 'sampler' | 'fid' | 'samples' | 'millisecondsPerImage' | 'classCounts' | 'noiseSeed'> & { readonly accuracy?: number | undefined };

/** One row per measurement, under the names that `label` gives them. */
export function renderEvaluations(evaluations: readonly ShownEvaluation[], label: (evaluation: ShownEvaluation) => string = ({ sampler }) => sampler): string {
  return renderTable(
    [
      { title: '' },
      { title: 'FID', align: 'right' },
      { title: 'accuracy', align: 'right' },
      { title: 'samples', align: 'right' },
      { title: 'per class', align: 'right' },
      { title: 'noise seed', align: 'right' },
      { title: 'ms/image', align: 'right' },
    ],
    evaluations.map((evaluation) => [
      label(evaluation),
      evaluation.fid.toFixed(2),
      evaluation.accuracy === undefined ? '' : evaluation.accuracy.toFixed(3),
      formatCount(evaluation.samples),
      classBalance(evaluation.classCounts),
      // Reconstructions start from test images: no noise is drawn.
      evaluation.sampler === 'reconstruction' ? '-' : String(evaluation.noiseSeed),
      evaluation.millisecondsPerImage.toFixed(2),
    ]),
  );
}

/** One row per evaluation of a run, whether it is complete or not. */
export function renderEvaluationList(evaluations: readonly Evaluation[], options: TableOptions = {}): string {
  return renderTable(
    [
      { title: 'evaluation' },
      { title: 'updates', align: 'right', dropped: 2 },
      { title: 'sampler' },
      { title: 'samples', align: 'right', dropped: 3 },
      { title: 'noise seed', align: 'right', dropped: 4 },
      { title: 'state', shrinksTo: 10 },
      { title: 'FID', align: 'right' },
      { title: 'accuracy', align: 'right', dropped: 1 },
    ],
    evaluations.map(({ evaluationId, update, sampler, samples, noiseSeed, state, error, fid, fidStandardError, accuracy }) => {
      const complete = state === EvaluationState.COMPLETED;
      return [
        evaluationId,
        formatCount(update),
        sampler,
        formatCount(samples),
        sampler === 'reconstruction' ? '-' : String(noiseSeed),
        evaluationStateName(state) + (error ? `: ${error.message}` : ''),
        complete ? fid.toFixed(2) + (fidStandardError === undefined ? '' : ` ± ${fidStandardError.toFixed(2)}`) : '',
        complete && accuracy !== undefined ? accuracy.toFixed(3) : '',
      ];
    }),
    options,
  );
}

/** An evaluation for JSON: the fields of the wire, with names as people write them. */
export function plainEvaluation({ $typeName: _typeName, $unknown: _unknown, noiseSeed, state, error, ...evaluation }: Evaluation): object {
  return { ...evaluation, noiseSeed: Number(noiseSeed), state: evaluationStateName(state), error: error && { code: error.code, message: error.message, field: error.field, remedy: error.remedy } };
}

/** RUNNING -> running */
const evaluationStateName = (state: EvaluationState): string => (EvaluationState[state] ?? 'unknown').toLowerCase();

/** `500`, or `892-1,135` where the classes differ. */
export function classBalance(counts: readonly number[]): string {
  if (counts.length === 0) return '';
  const least = Math.min(...counts);
  const most = Math.max(...counts);
  return least === most ? formatCount(least) : `${formatCount(least)}-${formatCount(most)}`;
}
