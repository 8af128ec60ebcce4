import { Dd2Error, phaseRanges, type RunSpec } from '@dd2/core';
import { renderEvaluations, type ShownEvaluation } from '../render/evaluation-table.js';
import { formatDuration } from '../render/format.js';
import { overheadShare, phaseSeconds, type RunRecordEvaluation, type RunRecords } from './run-records.js';

/** One measured sampler, with all that decides about the figure. */
export interface Measured {
  readonly fid: number;
  readonly accuracy: number;
  readonly samples: number;
  /** samples asked for of each class */
  readonly classCounts: readonly number[];
  readonly noiseSeed: number;
  /** updates of the checkpoint */
  readonly update: number;
  /** execution time of one worker, sampling to scoring */
  readonly millisecondsPerImage: number;
}

/** What `report.json` holds. */
export interface Report {
  readonly runId: string;
  readonly config: string;
  readonly seed: number;
  readonly reconstruction: Measured;
  readonly teacher: Measured;
  readonly naive: Measured;
  /** the generator at the end of the phase tune */
  readonly beforeDistill?: Measured;
  /** the generator at the end of the phase regress */
  readonly afterRegress?: Measured;
  readonly oneStep: Measured;
  /** by the number of first tokens that are kept */
  readonly multiStep: Readonly<Record<string, Measured>>;
  /** sampling and decoding alone, in this process */
  readonly sampling: { readonly oneStepMsPerImage: number; readonly teacherMsPerImage: number };
  /** share of the updates' wall-clock time in which no worker computed for them */
  readonly overhead: number;
  readonly seconds: Readonly<Record<string, number>>;
}

export interface ReportInputs {
  readonly runId: string;
  readonly config: string;
  readonly spec: RunSpec;
  /** reconstruction, teacher, naive, one-step, multi-step-K */
  readonly evaluations: readonly Evaluated[];
  readonly beforeDistill: RunRecordEvaluation | undefined;
  readonly afterRegress: RunRecordEvaluation | undefined;
  readonly records: RunRecords;
  readonly sampling: Report['sampling'];
  /** of what the quickstart did beside the run: total, evaluate, install, build */
  readonly seconds: Readonly<Record<string, number>>;
}

type Evaluated = ShownEvaluation & { readonly update: number };

/** @throws {Dd2Error} INTERNAL when a measurement is missing */
export function makeReport({ runId, config, spec, evaluations, beforeDistill, afterRegress, records, sampling, seconds }: ReportInputs): Report {
  const required = (sampler: string): Measured => {
    const found = evaluations.find((evaluation) => evaluation.sampler === sampler);
    if (!found) throw new Dd2Error('INTERNAL', `the sampler ${sampler} was not measured`, { field: sampler });
    return measured(found);
  };
  const multiStep = evaluations.flatMap((evaluation) => {
    const keep = /^multi-step-(\d+)$/.exec(evaluation.sampler)?.[1];
    return keep === undefined ? [] : [[keep, measured(evaluation)] as const];
  });
  return {
    runId,
    config,
    seed: spec.seed,
    reconstruction: required('reconstruction'),
    teacher: required('teacher'),
    naive: required('naive'),
    ...(beforeDistill ? { beforeDistill: measured(beforeDistill) } : {}),
    ...(afterRegress ? { afterRegress: measured(afterRegress) } : {}),
    oneStep: required('one-step'),
    multiStep: Object.fromEntries(multiStep),
    sampling,
    overhead: overheadShare(records.metrics),
    seconds: { ...rounded(phaseSeconds(records.events)), ...rounded(seconds) },
  };
}

/** The report as a table and a few sentences. */
export function renderReport(report: Report): string {
  const rows: [string, Measured | undefined][] = [
    ['reconstruction of test images', report.reconstruction],
    ['teacher, one token at a time', report.teacher],
    ['naive: independent tokens', report.naive],
    ['generator before distillation', report.beforeDistill],
    ['generator after regression', report.afterRegress],
    ['generator, one step', report.oneStep],
    ...Object.entries(report.multiStep).map(([keep, values]): [string, Measured] => [`first ${keep} tokens, then the teacher`, values]),
  ];
  const shown = rows.flatMap(([label, values]) =>
    values === undefined ? [] : [{ ...values, sampler: values === report.reconstruction ? 'reconstruction' : label, noiseSeed: BigInt(values.noiseSeed), classCounts: [...values.classCounts], label }],
  );
  const { oneStepMsPerImage, teacherMsPerImage } = report.sampling;
  const times = Object.entries(report.seconds).map(([name, value]) => `${name} ${formatDuration(value)}`);
  return [
    renderEvaluations(shown, (evaluation) => ('label' in evaluation ? String(evaluation.label) : evaluation.sampler)),
    '',
    `sampling alone, one image: ${oneStepMsPerImage.toFixed(3)} ms in one step, ${teacherMsPerImage.toFixed(3)} ms by the teacher (${(teacherMsPerImage / oneStepMsPerImage).toFixed(1)} times as long)`,
    `time: ${times.join(', ')}; ${(100 * report.overhead).toFixed(1)} % of the updates' time without a worker computing`,
  ].join('\n');
}

/** Updates that are committed when a phase has ended; undefined for a phase that the spec leaves out. */
export function endOf(phase: string, spec: RunSpec): number | undefined {
  return phaseRanges(spec).find((range) => range.phase === phase)?.to;
}

function measured({ fid, accuracy = NaN, samples, classCounts, noiseSeed, update, millisecondsPerImage }: Evaluated | RunRecordEvaluation): Measured {
  return { fid, accuracy, samples, classCounts: [...classCounts], noiseSeed: Number(noiseSeed), update, millisecondsPerImage };
}

function rounded(seconds: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(seconds).map(([name, value]) => [name, Math.round(10 * value) / 10]));
}
