import { expect, it } from 'vitest';
import { specFacts } from './spec-facts.js';

const spec = `name: mnist
phases:
  tune:
    batch: 128
    time:
      min: 0.02
    updates: 12800
    optimizer:
      betas:
        - 0.9
        - 0.99
  regress:
    updates: 1500
  distill:
    align: 100
    cycle:
      guidance: 5
      generator: 1
    generator:
      batch: 128
evaluation:
  samples: 2000
`;

it('finds the end of the phase tune, and the declared cycle', () => {
  expect(specFacts(spec)).toEqual({ tuneUpdates: 12_800, cycle: { guidance: 5, generator: 1 } });
});

it('says nothing about a spec that it does not understand', () => {
  expect(specFacts('')).toEqual({ tuneUpdates: undefined, cycle: undefined });
  expect(specFacts('phases:\n  regress:\n    updates: 1500\n')).toEqual({ tuneUpdates: undefined, cycle: undefined });
  expect(specFacts(spec.replace('guidance: 5', 'guidance: many')).cycle).toBeUndefined();
  expect(specFacts(spec.replace('tune', 'name: "phases:"\n  other'))).toMatchObject({ tuneUpdates: undefined });
});
