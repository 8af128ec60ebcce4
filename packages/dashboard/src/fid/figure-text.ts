import { formatCount, formatFid } from '../view/format.js';
import { confidenceOf, type FidPoint } from './fid-point.js';

/** "11.36 ± 0.42 (2,000 samples)": the figure with its 95 % confidence, and the number of samples that it depends on. */
export function figureText(point: Pick<FidPoint, 'fid' | 'standardError' | 'samples'>): string {
  const confidence = confidenceOf(point);
  const margin = confidence ? ` ± ${formatFid(confidence.upper - point.fid)}` : '';
  return `${formatFid(point.fid)}${margin} (${formatCount(point.samples)} samples)`;
}

/** "update 2,600, 50 generator updates, FID 11.36 ± 0.42 (2,000 samples)" */
export function stepText(point: Pick<FidPoint, 'update' | 'generatorUpdates' | 'fid' | 'standardError' | 'samples'>): string {
  return `update ${formatCount(point.update)}, ${formatCount(point.generatorUpdates)} generator updates, FID ${figureText(point)}`;
}
