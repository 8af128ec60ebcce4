import { create, EvaluationSchema, EvaluationState, type Evaluation } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { compareEvaluations, renderComparison } from './comparison.js';
import { plainEvaluation, renderEvaluationList } from './evaluation-table.js';

const evaluation = (values: Partial<Evaluation>): Evaluation => create(EvaluationSchema, {
  runId: 'a',
  evaluationId: String(values.update ?? 800),
  state: EvaluationState.COMPLETED,
  update: 800,
  generatorUpdates: 0,
  sampler: 'one-step',
  fid: 20,
  samples: 2_000,
  accuracy: 0.9,
  seconds: 1,
  millisecondsPerImage: 0.3,
  classCounts: [1_000, 1_000],
  noiseSeed: 123n,
  featureNetworkSha256: 'f'.repeat(64),
  referenceSha256: 'e'.repeat(64),
  ...values,
});

describe('compareEvaluations', () => {
  const curve = [evaluation({}), evaluation({ update: 2_500, generatorUpdates: 50, fid: 12 }), evaluation({ update: 2_700, generatorUpdates: 100, fid: 10 })];
  const final = (fid: number, update: number): Evaluation => evaluation({ evaluationId: `${update}-final`, update, generatorUpdates: 300, fid, samples: 5_000, noiseSeed: 124n });

  it('pairs what was measured the same way after as many generator updates', () => {
    // B has no phase regress: its updates differ where its generator updates do not.
    const other = [evaluation({ update: 900, fid: 21 }), evaluation({ update: 1_000, generatorUpdates: 50, fid: 14.5 }), final(9, 2_000)];
    const comparison = compareEvaluations({ runId: 'a', evaluations: [...curve, final(7.5, 3_500)] }, { runId: 'b', evaluations: other });
    expect(comparison.rows.map(({ a, b }) => [a?.fid, b?.fid])).toEqual([[20, undefined], [undefined, 21], [12, 14.5], [10, undefined], [7.5, 9]]);
    const lines = renderComparison(comparison).split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines[4]).toEqual(['50', '2,500 / 1,000', 'one-step', '2,000', '123', '12.00', '14.50', '+2.50']);
    expect(lines[6]).toEqual(['300', '3,500 / 2,000', 'one-step', '5,000', '124', '7.50', '9.00', '+1.50']);
  });

  it('leaves out what only one run has, and says so', () => {
    const comparison = compareEvaluations({ runId: 'a', evaluations: [...curve, final(7.5, 3_500)] }, { runId: 'b', evaluations: curve });
    expect(comparison.leftOut).toEqual([1, 0]);
    expect(renderComparison(comparison)).toContain('\nleft out, of a: 1 measured otherwise than any of the other run');
  });

  it.each<[string, Partial<Evaluation>, RegExp]>([
    ['samples', { samples: 5_000 }, /number of samples: 2000 and 5000/],
    ['noise', { noiseSeed: 9n }, /seed of the noise: 123 and 9/],
    ['sampler', { sampler: 'teacher' }, /sampler: one-step and teacher/],
    ['feature network', { featureNetworkSha256: '0'.repeat(64) }, /feature network: f{16} and 0{16}/],
  ])('refuses runs that share no provenance: %s', (_, change, message) => {
    const other = curve.map((one) => ({ ...one, ...change }));
    expect(() => compareEvaluations({ runId: 'a', evaluations: curve }, { runId: 'b', evaluations: other })).toThrow(expect.objectContaining({ code: 'NOT_COMPARABLE', message: expect.stringMatching(message) as string }) as Error);
  });

  it('refuses a run without a complete evaluation', () => {
    const waiting = [evaluation({ state: EvaluationState.QUEUED }), evaluation({ state: EvaluationState.FAILED })];
    expect(() => compareEvaluations({ runId: 'a', evaluations: curve }, { runId: 'b', evaluations: waiting })).toThrow(expect.objectContaining({ code: 'NOT_COMPARABLE', message: expect.stringContaining('run b has no complete evaluation') as string }) as Error);
  });
});

describe('the list of evaluations', () => {
  it('shows figures of those that are complete only', () => {
    const failed = evaluation({ evaluationId: '900', update: 900, state: EvaluationState.FAILED, fid: 0, error: { $typeName: 'dd2.v1.ErrorDetail', code: 'RUN_FAILED', message: 'no worker', field: '', remedy: '' } });
    expect(renderEvaluationList([evaluation({ fidStandardError: 0.314 })])).toMatch(/20\.00 ± 0\.31 +0\.900$/);
    const lines = renderEvaluationList([evaluation({}), failed]).split('\n').slice(2).map((line) => line.split(/ {2,}/));
    expect(lines).toEqual([
      ['800', '800', 'one-step', '2,000', '123', 'completed', '20.00', '0.900'],
      ['900', '900', 'one-step', '2,000', '123', 'failed: no worker'],
    ]);
  });

  it('is JSON with all that decides about a figure', () => {
    expect(JSON.parse(JSON.stringify(plainEvaluation(evaluation({}))))).toMatchObject({ evaluationId: '800', state: 'completed', fid: 20, samples: 2_000, classCounts: [1_000, 1_000], noiseSeed: 123, featureNetworkSha256: 'f'.repeat(64), referenceSha256: 'e'.repeat(64) });
  });
});
