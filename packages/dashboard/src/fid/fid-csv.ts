import { csvText } from '../ui/csv-text.js';
import type { KnownPlaces } from './axis-places.js';
import { confidenceOf, type FidPoint } from './fid-point.js';

const columns = [
  'run', 'evaluation', 'kind', 'sampler', 'update', 'generator_updates', 'samples_seen', 'wall_seconds',
  'fid', 'fid_standard_error', 'fid_lower_95', 'fid_upper_95', 'samples', 'accuracy', 'noise_seed', 'feature_network_sha256', 'reference_sha256',
] as const;

/** Measurements as CSV (RFC 4180), one a line, with all that decides about each figure; unknown values are empty. */
export function fidCsv(points: readonly FidPoint[], placesOfRun: (runId: string) => KnownPlaces): string {
  const lines = points.map((point) => {
    const place = placesOfRun(point.runId).get(point.update);
    const confidence = confidenceOf(point);
    return [
      csvText(point.runId), csvText(point.evaluationId), point.kind, csvText(point.sampler), point.update, point.generatorUpdates, place?.samples, place?.wallSeconds,
      point.fid, point.standardError, confidence?.lower, confidence?.upper, point.samples, point.accuracy, csvText(point.noiseSeed), csvText(point.featureNetworkSha256), csvText(point.referenceSha256),
    ].map((value) => value ?? '').join(',');
  });
  return [columns.join(','), ...lines, ''].join('\r\n');
}
