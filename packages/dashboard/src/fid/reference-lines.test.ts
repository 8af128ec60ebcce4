import { describe, expect, it } from 'vitest';
import { chooseReferences, missingReferences, pendingReferences } from './reference-lines.js';
import { rulerOf } from './fid-point.js';
import { pointAt } from './testing.js';

const line = { runId: 'a', ruler: rulerOf(pointAt(0)), samples: 2000 };
const teacher = (values: Parameters<typeof pointAt>[1] = {}) => pointAt(100, { kind: 'asked', sampler: 'teacher', evaluationId: '100-teacher', ...values });

describe('chooseReferences', () => {
  it('prefers the same number of samples over the same run', () => {
    const [chosen] = chooseReferences(line, [teacher({ samples: 5000, fid: 5 }), teacher({ runId: 'b', fid: 6 })]);
    expect(chosen).toMatchObject({ sameSamples: true, point: { runId: 'b' }, label: 'teacher 6.00 (2,000 samples) of b' });
  });

  it('prefers its own run among equal numbers, then the newest', () => {
    const [chosen] = chooseReferences(line, [teacher({ runId: 'b', update: 900 }), teacher({ update: 100, fid: 1 }), teacher({ update: 300, fid: 2 })]);
    expect(chosen?.point.fid).toBe(2);
  });

  it('falls back to the nearest number of samples and says so', () => {
    const [chosen] = chooseReferences(line, [teacher({ samples: 50_000 }), teacher({ samples: 5000, fid: 5 })]);
    expect(chosen).toMatchObject({ sameSamples: false, label: 'teacher 5.00 (5,000 samples)' });
  });

  it('takes nothing that was measured with another ruler', () => {
    expect(chooseReferences(line, [teacher({ referenceSha256: 'x' }), teacher({ featureNetworkSha256: 'x' }), pointAt(100)])).toEqual([]);
  });
});

it('misses what was not measured with the number of samples of the curve', () => {
  const references = chooseReferences(line, [teacher(), teacher({ sampler: 'naive', samples: 5000 })]);
  expect(references.map(({ sampler }) => sampler)).toEqual(['teacher', 'naive']);
  expect(missingReferences(line, references)).toEqual(['reconstruction', 'naive']);
});

it('knows what is being measured, whoever asked for it', () => {
  const evaluations = [
    { sampler: 'teacher', samples: 2000, state: 'EVALUATION_STATE_RUNNING' },
    { sampler: 'naive', samples: 2000, state: 'EVALUATION_STATE_QUEUED' },
    { sampler: 'reconstruction', samples: 5000, state: 'EVALUATION_STATE_QUEUED' },
    { sampler: 'one-step', samples: 2000, state: 'EVALUATION_STATE_RUNNING' },
  ] as const;
  expect(pendingReferences(line, evaluations)).toEqual(['teacher', 'naive']);
  expect(pendingReferences(line, [{ sampler: 'teacher', samples: 2000, state: 'EVALUATION_STATE_FAILED' }])).toEqual([]);
});
