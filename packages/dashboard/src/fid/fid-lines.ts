import { formatCount } from '../view/format.js';
import { groupsOf } from './groups.js';
import { rulerOf, type FidPoint } from './fid-point.js';

/** Points that may be joined: one run, one ruler, one number of samples, the same noise. */
export interface FidLine {
  readonly id: string;
  readonly runId: string;
  readonly ruler: string;
  readonly samples: number;
  /** ascending by update, at least one */
  readonly points: readonly FidPoint[];
}

/**
 * The curves: periodic measurements of the one-step generator. FID is biased by the number of samples and means nothing across
 * rulers, so that points of different ones are never joined. The longest line of a run comes first.
 */
export function fidLines(points: readonly FidPoint[]): FidLine[] {
  const periodic = points.filter(({ kind, sampler }) => kind === 'periodic' && sampler === 'one-step');
  return [...groupsOf(periodic, (point) => `${point.runId}/${point.samples}/${rulerOf(point)}`)]
    .flatMap(([id, line]) => {
      const first = line[0];
      return first ? { id, runId: first.runId, ruler: rulerOf(first), samples: first.samples, points: line.sort((a, b) => a.update - b.update) } : [];
    })
    .sort((a, b) => b.points.length - a.points.length);
}

/** Measurements beside the curve that are drawn as marks of their own: the final one, several steps, other numbers of samples. */
export function fidMarks(points: readonly FidPoint[]): FidPoint[] {
  return points.filter(({ kind, sampler }) => kind !== 'periodic' && (sampler === 'one-step' || isMultiStep(sampler)));
}

export function isMultiStep(sampler: string): boolean {
  return sampler.startsWith('multi-step-');
}

/** What to know before comparing what is drawn, in sentences; empty when everything can be compared. */
export function fidWarnings(lines: readonly FidLine[], marks: readonly FidPoint[]): string[] {
  const warnings: string[] = [];
  const drawn = [...lines, ...marks.map((point) => ({ samples: point.samples, ruler: rulerOf(point) }))];
  const rulers = new Set(drawn.map(({ ruler }) => ruler));
  if (rulers.size > 1) {
    warnings.push(`These figures were measured against ${rulers.size} different references or feature networks: they cannot be compared with each other.`);
  }
  const counts = [...new Set(lines.map(({ samples }) => samples))].sort((a, b) => a - b);
  if (counts.length > 1) warnings.push(`FID is lower with more samples. The curves were measured with ${listOf(counts.map(formatCount))} samples; they are marked differently and not joined.`);
  return warnings;
}

/** What to know about the single marks beside the curves; undefined when there is nothing to it. */
export function marksNote(lines: readonly FidLine[], marks: readonly FidPoint[]): string | undefined {
  const counts = new Set(lines.map(({ samples }) => samples));
  const others = [...new Set(marks.map(({ samples }) => samples))].filter((count) => !counts.has(count)).sort((a, b) => a - b);
  if (others.length === 0 || counts.size === 0) return undefined;
  return `Marks beside the curve have ${listOf(others.map(formatCount))} samples: FID is biased by their number, so that they are not joined with it.`;
}

function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
