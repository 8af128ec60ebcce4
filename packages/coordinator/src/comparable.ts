import { Dd2Error } from '@dd2/core';

/** What decides about the value of a measurement, beside the images: figures are compared only where all of it is the same. */
export interface Provenance {
  /** how the images were made: one-step, teacher, multi-step-8, ... */
  readonly sampler: string;
  /** FID falls with the number of samples, by more than training wins in a phase */
  readonly samples: number;
  /** samples asked for of each class */
  readonly classCounts: readonly number[];
  readonly noiseSeed: number | bigint;
  /** the network whose features the distance is measured in */
  readonly featureNetworkSha256: string;
  /** the statistics of the images that it is the distance to */
  readonly referenceSha256: string;
}

/** @throws {Dd2Error} NOT_COMPARABLE naming the first thing in which the measurements differ */
export function requireComparable(a: Provenance, b: Provenance): void {
  const difference = differences.find(({ of }) => of(a) !== of(b));
  if (!difference) return;
  const { field, what, of, remedy } = difference;
  throw new Dd2Error('NOT_COMPARABLE', `the measurements differ in ${what}: ${shown(of(a))} and ${shown(of(b))}`, { field, remedy });
}

/** The same text for measurements that can be compared, and only for those. */
export function provenanceKey(measurement: Provenance): string {
  return JSON.stringify(differences.map(({ of }) => of(measurement)));
}

interface Difference {
  readonly field: keyof Provenance;
  /** in words */
  readonly what: string;
  /** its value as text */
  readonly of: (measurement: Provenance) => string;
  readonly remedy: string;
}

const again = 'Measure one of the runs again: `dd2 evaluate RUN';
const otherAssets = 'Runs are comparable when their asset bundles have the same files of that name';

/** In the order in which a reader would ask. */
const differences: readonly Difference[] = [
  { field: 'sampler', what: 'the sampler', of: ({ sampler }) => sampler, remedy: `${again} --sampler NAME\`` },
  { field: 'samples', what: 'the number of samples', of: ({ samples }) => String(samples), remedy: `${again} --samples NUMBER\`` },
  { field: 'classCounts', what: 'the samples of each class', of: ({ classCounts }) => classCounts.join(' '), remedy: `${again} --samples NUMBER\` with a multiple of the number of classes` },
  // Reconstructions start from test images: no noise is drawn.
  { field: 'noiseSeed', what: 'the seed of the noise', of: ({ sampler, noiseSeed }) => (sampler === 'reconstruction' ? 'none' : String(noiseSeed)), remedy: `${again} --noise-seed NUMBER\`` },
  { field: 'featureNetworkSha256', what: 'the feature network', of: ({ featureNetworkSha256 }) => featureNetworkSha256, remedy: otherAssets },
  { field: 'referenceSha256', what: 'the reference statistics', of: ({ referenceSha256 }) => referenceSha256, remedy: otherAssets },
];

/** Enough of a SHA-256 to tell two apart by eye. */
const shown = (value: string): string => (/^[0-9a-f]{64}$/.test(value) ? value.slice(0, 16) : value);
