import { describe, expect, it } from 'vitest';
import type { EvaluationJson } from '@dd2/proto/run-messages';
import { bestOf, confidenceOf, fidPoints, kindOf } from './fid-point.js';

const complete: EvaluationJson = {
  update: 200,
  sampler: 'one-step',
  fid: 8.5,
  samples: 2000,
  accuracy: 0.97,
  evaluationId: '200',
  state: 'EVALUATION_STATE_COMPLETED',
  generatorUpdates: 50,
  noiseSeed: '123',
  featureNetworkSha256: 'f',
  referenceSha256: 'r',
  fidStandardError: 0.25,
  hasGrid: true,
};

describe('fidPoints', () => {
  it('keeps what is measured, ascending by update', () => {
    const points = fidPoints('a', [{ ...complete, update: 300, evaluationId: '300' }, complete]);
    expect(points.map(({ update }) => update)).toEqual([200, 300]);
    expect(points[0]).toEqual({
      runId: 'a', evaluationId: '200', kind: 'periodic', sampler: 'one-step', update: 200, generatorUpdates: 50, fid: 8.5, standardError: 0.25,
      samples: 2000, accuracy: 0.97, noiseSeed: '123', featureNetworkSha256: 'f', referenceSha256: 'r', hasGrid: true,
    });
  });

  it('orders those of one checkpoint as people would', () => {
    const ids = ['300-multi-step-12-2000-1', '300-multi-step-4-2000-1', '300'];
    expect(fidPoints('a', ids.map((evaluationId) => ({ ...complete, update: 300, evaluationId }))).map(({ evaluationId }) => evaluationId)).toEqual(['300', '300-multi-step-4-2000-1', '300-multi-step-12-2000-1']);
  });

  it.each<EvaluationJson>([
    { ...complete, state: 'EVALUATION_STATE_QUEUED' },
    { ...complete, state: 'EVALUATION_STATE_RUNNING' },
    { ...complete, state: 'EVALUATION_STATE_FAILED' },
    { ...complete, fid: 'NaN' },
    { ...complete, fid: 'Infinity' },
  ])('leaves out $state with FID $fid', (evaluation) => {
    expect(fidPoints('a', [evaluation])).toEqual([]);
  });

  it('has no standard error where none was computed', () => {
    const { fidStandardError: _, ...without } = complete;
    expect(fidPoints('a', [without, { ...complete, fidStandardError: 'NaN' }, { ...complete, fidStandardError: 0 }]).map(({ standardError }) => standardError)).toEqual([undefined, undefined, undefined]);
  });
});

it('knows by the id why a checkpoint was measured', () => {
  expect(kindOf('3600', 3600)).toBe('periodic');
  expect(kindOf('3600-final', 3600)).toBe('final');
  expect(kindOf('3600-one-step-5000-124', 3600)).toBe('asked');
  expect(kindOf('3600', 360)).toBe('asked');
});

it('gives 1.96 standard errors on both sides, never below 0', () => {
  expect(confidenceOf({ fid: 10, standardError: 1 })).toEqual({ lower: 8.04, upper: 11.96 });
  expect(confidenceOf({ fid: 1, standardError: 1 })).toEqual({ lower: 0, upper: 2.96 });
  expect(confidenceOf({ fid: 1, standardError: undefined })).toBeUndefined();
});

it('takes the earlier of equally good points for the best', () => {
  expect(bestOf([{ fid: 9, update: 1 }, { fid: 7, update: 2 }, { fid: 7, update: 3 }])).toEqual({ fid: 7, update: 2 });
  expect(bestOf([])).toBeUndefined();
});
