import { provenanceKey, requireComparable } from '@dd2/coordinator/comparable';
import { Dd2Error } from '@dd2/core';
import { EvaluationState, type Evaluation } from '@dd2/proto';
import { formatCount } from './format.js';
import { plotCurves } from './curve-plot.js';
import { renderTable, type TableOptions } from './table.js';
import type { Paint } from './terminal.js';

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

/** One row per point of the curves, what was left out, and which run is better where. */
export function renderComparison({ runIds, rows, leftOut }: Comparison, options: TableOptions = {}): string {
  const [a, b] = runIds;
  const table = renderTable(
    [
      { title: 'generator updates', align: 'right' },
      { title: 'updates', align: 'right', dropped: 4 },
      { title: 'sampler', dropped: 1 },
      { title: 'samples', align: 'right', dropped: 2 },
      { title: 'noise seed', align: 'right', dropped: 3 },
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
    options,
  );
  const notes = runIds.flatMap((runId, i) => (leftOut[i] ? [`left out, of ${runId}: ${leftOut[i]} measured otherwise than any of the other run`] : []));
  const verdict = describeDifference({ runIds, rows, leftOut });
  return [table, ...(verdict === '' ? [] : [verdict]), ...notes].join('\n');
}

/** `b is better at 6 of 8 points, by 0.31 at the last one`; empty where no point has both. */
function describeDifference({ runIds, rows }: Comparison): string {
  const differences = rows.flatMap(({ a, b }) => (a && b ? b.fid - a.fid : []));
  const last = differences.at(-1);
  if (last === undefined) return '';
  const ofB = differences.filter((difference) => difference < 0).length;
  const ofA = differences.filter((difference) => difference > 0).length;
  const [better, points] = ofB >= ofA ? [runIds[1], ofB] : [runIds[0], ofA];
  const lastOne = last === 0 ? undefined : last < 0 ? runIds[1] : runIds[0];
  const end = lastOne === undefined ? 'equal at the last one' : lastOne === better ? `by ${Math.abs(last).toFixed(2)} at the last one` : `but worse by ${Math.abs(last).toFixed(2)} at the last one`;
  return `${better} is better at ${points} of ${differences.length} ${differences.length === 1 ? 'point' : 'points'}, ${end}`;
}

const PLOT_COLUMNS = 80;
const PLOT_ROWS = 14;

/** The curves of both runs over generator updates: what was measured most often, in one way, after the phases before distill. */
export function plotComparison({ runIds, rows }: Comparison, { width = PLOT_COLUMNS + 1, unicode, paint }: { readonly width?: number | undefined; readonly unicode: boolean; readonly paint: Paint }): string[] {
  const groups = new Map<string, ComparedRow[]>();
  for (const row of rows) {
    const either = row.a ?? row.b;
    if (either === undefined || either.generatorUpdates === 0) continue;
    const key = provenanceKey(either);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const curve = [...groups.values()].reduce<ComparedRow[]>((longest, group) => (group.length > longest.length ? group : longest), []);
  if (curve.length < 2) return [];
  const pointsOf = (side: 'a' | 'b') => curve.flatMap(({ [side]: evaluation }) => (evaluation ? [{ x: evaluation.generatorUpdates, y: evaluation.fid }] : []));
  const curves = [
    { label: runIds[0], points: pointsOf('a') },
    { label: runIds[1], points: pointsOf('b') },
  ];
  return plotCurves({ curves, xLabel: 'generator updates', width: Math.min(width - 1, PLOT_COLUMNS), height: PLOT_ROWS, unicode, paint });
}

/** For JSON. */
export function plainComparison({ runIds, rows, leftOut }: Comparison): object {
  return {
    runIds,
    rows: rows.map(({ a, b }) => {
      const { generatorUpdates = 0, sampler = '', samples = 0, noiseSeed = 0n } = a ?? b ?? {};
      return { generatorUpdates, sampler, samples, noiseSeed: Number(noiseSeed), updates: [a?.update ?? null, b?.update ?? null], fids: [a?.fid ?? null, b?.fid ?? null], difference: a && b ? b.fid - a.fid : null };
    }),
    leftOut,
  };
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
