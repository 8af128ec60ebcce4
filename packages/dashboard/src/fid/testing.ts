import type { FidPoint } from './fid-point.js';

/** A periodic measurement, for tests. */
export function pointAt(update: number, values: Partial<FidPoint> = {}): FidPoint {
  return {
    runId: 'a',
    evaluationId: String(update),
    kind: 'periodic',
    sampler: 'one-step',
    update,
    generatorUpdates: Math.floor(update / 4),
    fid: 10,
    standardError: undefined,
    samples: 2000,
    accuracy: 0.9,
    noiseSeed: '123',
    featureNetworkSha256: 'f',
    referenceSha256: 'r',
    hasGrid: true,
    ...values,
  };
}
