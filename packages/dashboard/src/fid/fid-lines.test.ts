import { describe, expect, it } from 'vitest';
import { fidLines, fidMarks, fidWarnings, marksNote } from './fid-lines.js';
import { pointAt } from './testing.js';

describe('fidLines', () => {
  it('joins the periodic points of a run, and nothing else', () => {
    const lines = fidLines([pointAt(300), pointAt(100), pointAt(200, { kind: 'asked' }), pointAt(200, { sampler: 'teacher' }), pointAt(100, { runId: 'b' })]);
    expect(lines.map(({ runId, points }) => [runId, points.map(({ update }) => update)])).toEqual([
      ['a', [100, 300]],
      ['b', [100]],
    ]);
  });

  it('never joins different numbers of samples, references or feature networks', () => {
    const lines = fidLines([pointAt(1), pointAt(2, { samples: 5000 }), pointAt(3, { referenceSha256: 'other' }), pointAt(4, { featureNetworkSha256: 'other' }), pointAt(5)]);
    expect(lines.map(({ points }) => points.map(({ update }) => update))).toEqual([[1, 5], [2], [3], [4]]);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(4);
  });
});

it('draws what is beside the curve as marks, references excepted', () => {
  const marks = fidMarks([
    pointAt(1),
    pointAt(2, { kind: 'final', evaluationId: '2-final' }),
    pointAt(2, { kind: 'asked', sampler: 'multi-step-8' }),
    pointAt(2, { kind: 'asked', sampler: 'teacher' }),
    pointAt(2, { kind: 'asked', sampler: 'naive' }),
    pointAt(2, { kind: 'asked' }),
  ]);
  expect(marks.map(({ kind, sampler }) => `${kind} ${sampler}`)).toEqual(['final one-step', 'asked multi-step-8', 'asked one-step']);
});

describe('fidWarnings', () => {
  const line = (values: Parameters<typeof pointAt>[1]) => fidLines([pointAt(1, values)]);

  it('is silent about figures that can be compared', () => {
    expect(fidWarnings([...line({}), ...line({ runId: 'b' })], [])).toEqual([]);
  });

  it('warns of curves with different numbers of samples', () => {
    const [warning, ...rest] = fidWarnings([...line({}), ...line({ runId: 'b', samples: 50_000 })], []);
    expect(warning).toContain('2,000 and 50,000 samples');
    expect(rest).toEqual([]);
  });

  it('warns of rulers that differ', () => {
    expect(fidWarnings([...line({}), ...line({ runId: 'b', referenceSha256: 'x' })], [])).toEqual([expect.stringContaining('cannot be compared')]);
  });
});

it('notes marks with another number of samples than the curve', () => {
  expect(marksNote(fidLines([pointAt(1)]), [pointAt(1, { kind: 'final', samples: 5000 })])).toContain('5,000 samples');
  expect(marksNote(fidLines([pointAt(1)]), [pointAt(1, { kind: 'final' })])).toBeUndefined();
  expect(marksNote([], [pointAt(1, { kind: 'final', samples: 5000 })])).toBeUndefined();
});
