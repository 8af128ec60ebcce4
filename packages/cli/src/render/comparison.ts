import { provenanceKey, requireComparable } from '@dd2/coordinator';
import { Dd2Error } from '@dd2/core';
import { EvaluationState, type Evaluation } from '@dd2/proto';
import { formatCount } from './format.js';
import { renderTable } from './table.js';

export interface MeasuredRun {
  readonly runId: string;
  readonly evaluations: readonly Evaluation[];
}

/** Two measurements of the same provenance after as many generator updates; one is missing where only one run was measured. */
interface ComparedRow {
  readonly a?: Evaluation | undefined;
  readonly b?: Evaluation | undefined;
}

export interface Comparison {
  readonly runIds: readonly [string, string];
  readonly rows: readonly ComparedRow[];
  /** complete evaluations of either run that were measured in a way in which none of the other was */
  readonly leftOut: readonly [number, number];
}

/**
 * Pairs the complete evaluations of two runs. Those of the phase distill meet by generator updates, which is what its FID is a
 * function of; those before it by update.
 * @throws {Dd2Error} NOT_COMPARABLE when no two of them were measured the same way
 */
export function compareEvaluations(a: MeasuredRun, b: MeasuredRun): Comparison {
  const [ofA, ofB] = [complete(a), complete(b)];
  const keysOfA = new Set(ofA.map(provenanceKey));
  const common = new Set(ofB.map(provenanceKey).filter((key) => keysOfA.has(key)));
  if (common.size === 0) refuse(ofA, ofB);
  const rows = new Map<string, ComparedRow>();
  const place = (evaluation: Evaluation, side: 'a' | 'b'): void => {
    const { generatorUpdates, update } = evaluation;
    const key = `${provenanceKey(evaluation)} ${generatorUpdates > 0 ? generatorUpdates : `at ${update}`}`;
    rows.set(key, { ...rows.get(key), [side]: evaluation });
  };
  const kept = (evaluation: Evaluation): boolean => common.has(provenanceKey(evaluation));
  ofA.filter(kept).forEach((evaluation) => place(evaluation, 'a'));
  ofB.filter(kept).forEach((evaluation) => place(evaluation, 'b'));
  return {
    runIds: [a.runId, b.runId],
    rows: [...rows.values()].sort((x, y) => order(x) - order(y)),
    leftOut: [ofA.filter((evaluation) => !kept(evaluation)).length, ofB.filter((evaluation) => !kept(evaluation)).length],
  };
}

/** One row per point of the curves, and what was left out. */
export function renderComparison({ runIds, rows, leftOut }: Comparison): string {
  const [a, b] = runIds;
  const table = renderTable(
    [
      { title: 'generator updates', align: 'right' },
      { title: 'updates', align: 'right' },
      { title: 'sampler' },
      { title: 'samples', align: 'right' },
      { title: 'noise seed', align: 'right' },
      { title: a, align: 'right' },
      { title: b, align: 'right' },
      { title: 'difference', align: 'right' },
    ],
    rows.map(({ a: left, b: right }) => {
      const either = left ?? right;
      return [
        formatCount(either?.generatorUpdates ?? 0),
        [...new Set([left, right].flatMap((evaluation) => evaluation?.update ?? []))].map(formatCount).join(' / '),
        either?.sampler ?? '',
        formatCount(either?.samples ?? 0),
        either?.sampler === 'reconstruction' ? '-' : String(either?.noiseSeed ?? ''),
        left?.fid.toFixed(2) ?? '',
        right?.fid.toFixed(2) ?? '',
        left && right ? signed(right.fid - left.fid) : '',
      ];
    }),
  );
  const notes = runIds.flatMap((runId, i) => (leftOut[i] ? [`left out, of ${runId}: ${leftOut[i]} measured otherwise than any of the other run`] : []));
  return [table, ...notes].join('\n');
}

const complete = ({ runId, evaluations }: MeasuredRun): Evaluation[] => {
  const found = evaluations.filter(({ state }) => state === EvaluationState.COMPLETED);
  if (found.length > 0) return found;
  throw new Dd2Error('NOT_COMPARABLE', `run ${runId} has no complete evaluation yet`, { field: 'run', remedy: `Wait for one, or ask for one: \`dd2 evaluate ${runId}\`` });
};

/** Says in what the closest pair differs. @throws {Dd2Error} NOT_COMPARABLE */
function refuse(ofA: readonly Evaluation[], ofB: readonly Evaluation[]): never {
  for (const a of ofA) {
    const b = ofB.find(({ sampler }) => sampler === a.sampler);
    if (b) requireComparable(a, b);
  }
  const names = [ofA, ofB].map((evaluations) => [...new Set(evaluations.map(({ sampler }) => sampler))].join(', '));
  throw new Dd2Error('NOT_COMPARABLE', `the measurements differ in the sampler: ${names.join(' and ')}`, { field: 'sampler', remedy: 'Measure one of the runs again: `dd2 evaluate RUN --sampler NAME`' });
}

/** Before the phase distill by update, then by generator updates; provenances keep the order in which they came. */
function order({ a, b }: ComparedRow): number {
  const { generatorUpdates = 0, update = 0 } = a ?? b ?? {};
  return generatorUpdates > 0 ? 2 ** 32 + generatorUpdates : update;
}

const signed = (value: number): string => `${value > 0 ? '+' : ''}${value.toFixed(2)}`;
