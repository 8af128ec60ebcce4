import { describe, expect, it } from 'vitest';
import type { EvaluationRecord } from './evaluate.js';
import { provenanceKey, requireComparable, type Provenance } from './comparable.js';

const record: EvaluationRecord = {
  update: 800,
  generatorUpdates: 0,
  sampler: 'one-step',
  fid: 15,
  samples: 2_000,
  classCounts: new Array<number>(10).fill(200),
  accuracy: 0.9,
  noiseSeed: 123,
  featureNetworkSha256: 'a'.repeat(64),
  referenceSha256: 'b'.repeat(64),
  millisecondsPerImage: 0.3,
  seconds: 1,
};

const differing: [keyof Provenance, Partial<Provenance>, RegExp][] = [
  ['sampler', { sampler: 'teacher' }, /the sampler: one-step and teacher \(sampler\)\. .+--sampler/],
  ['samples', { samples: 5_000 }, /the number of samples: 2000 and 5000 \(samples\)\. .+--samples/],
  ['classCounts', { classCounts: [...new Array<number>(9).fill(200), 199] }, /the samples of each class: .+ 200 and .+ 199 \(classCounts\)/],
  ['noiseSeed', { noiseSeed: 124 }, /the seed of the noise: 123 and 124 \(noiseSeed\)\. .+--noise-seed/],
  ['featureNetworkSha256', { featureNetworkSha256: 'c'.repeat(64) }, /the feature network: a{16} and c{16}/],
  ['referenceSha256', { referenceSha256: 'c'.repeat(64) }, /the reference statistics: b{16} and c{16}/],
];

describe('requireComparable', () => {
  it('accepts what differs in the result only', () => {
    const other = { ...record, update: 900, generatorUpdates: 25, fid: 12, fidStandardError: 0.2, accuracy: 0.95, seconds: 2, millisecondsPerImage: 0.5, noiseSeed: 123n };
    requireComparable(record, other);
    expect(provenanceKey(other)).toBe(provenanceKey(record));
  });

  it.each(differing)('refuses another %s, and says which', (field, change, message) => {
    const other = { ...record, ...change };
    expect(() => requireComparable(record, other)).toThrow(expect.objectContaining({ code: 'NOT_COMPARABLE', field, message: expect.stringMatching(message) as string }) as Error);
    expect(provenanceKey(other)).not.toBe(provenanceKey(record));
  });

  it('has no use for the noise seed of reconstructions', () => {
    requireComparable({ ...record, sampler: 'reconstruction' }, { ...record, sampler: 'reconstruction', noiseSeed: 7 });
  });
});
