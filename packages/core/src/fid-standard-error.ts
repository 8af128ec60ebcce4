import { frechetDistanceTo } from './frechet.js';
import { emptyStatistics, meanAndCovariance, mergeStatistics, withoutStatistics, type Gaussian, type SufficientStatistics } from './sufficient-statistics.js';

/** More groups cost more distances; the error of the estimate, about `1 / sqrt(2 (groups - 1))` of it, falls only slowly. */
const MOST_GROUPS = 20;
/** Fewer tell little: from four groups the estimate is right to about 40 %, from two to about 70 %. */
const FEWEST_GROUPS = 4;

/**
 * The standard error of a FID that comes from the finite number of generated samples: by how much it would scatter if the
 * same generator drew as many other ones. The reference is taken as it is, since all evaluations share it.
 *
 * A delete-a-group jackknife: the parts, which must be independent sets of samples, are put into groups of neighbours, and the
 * distance is measured without each group in turn. Groups are as equal as the number of parts allows; what is left of a
 * difference is weighted (Busing, Meijer and van der Leeden, "Delete-m jackknife for unequal m", Statistics and Computing 9,
 * 1999, equation 6). With g equal groups that is the well-known `(g - 1) / g * sum_j (FID_(j) - mean FID_(.))^2` (Efron and
 * Tibshirani, "An Introduction to the Bootstrap", 1993, equation 11.5, with groups in the place of samples; Kott, "The
 * delete-a-group jackknife", Journal of Official Statistics 17, 2001).
 *
 * It says nothing of the bias of FID, which falls with the number of samples and is the same for every evaluation of that
 * number. It tends to be too large rather than too small: the more so the closer the generated samples are to the reference, for
 * then the distance is the square of what scatters. Strata count: when every part has the same mix of classes, what the
 * classes differ in is not taken for scatter.
 *
 * @param parts statistics of the micro-batches by index, empty ones are ignored
 * @param pause awaited between two distances: each takes milliseconds (64 dimensions: 3 ms), and grows with the cube of the dimension
 * @returns undefined when there are too few parts, or too few samples to fit a Gaussian without a group
 * @throws {Dd2Error} INVALID_ARGUMENT and NON_FINITE as `frechetDistance` does
 */
export async function fidStandardError(parts: readonly SufficientStatistics[], reference: Gaussian, pause: () => Promise<unknown> = async () => undefined): Promise<number | undefined> {
  const groups = intoGroups(parts.filter(({ count }) => count > 0));
  const whole = groups.reduce(mergeStatistics, emptyStatistics(reference.mean.length));
  if (groups.length < FEWEST_GROUPS || groups.some(({ count }) => whole.count - count < 2)) return undefined;
  const distance = frechetDistanceTo(reference);
  const fid = distance(meanAndCovariance(whole));
  const withoutGroup: { readonly ratio: number; readonly fid: number }[] = [];
  for (const group of groups) {
    await pause();
    withoutGroup.push({ ratio: whole.count / group.count, fid: distance(meanAndCovariance(withoutStatistics(whole, group))) });
  }
  return jackknifeStandardError(fid, withoutGroup);
}

/** Neighbours together, as equally as can be, in the order in which they came. */
function intoGroups(parts: readonly SufficientStatistics[]): SufficientStatistics[] {
  const groups = Math.min(MOST_GROUPS, parts.length);
  return Array.from({ length: groups }, (_, group) => {
    const [first, ...others] = parts.slice(Math.floor((group * parts.length) / groups), Math.floor(((group + 1) * parts.length) / groups));
    return others.reduce(mergeStatistics, first ?? emptyStatistics(0));
  });
}

/**
 * @param whole the statistic of all samples
 * @param without the statistic without each group, and `ratio`, all samples over those of the group
 */
function jackknifeStandardError(whole: number, without: readonly { readonly ratio: number; readonly fid: number }[]): number {
  const groups = without.length;
  const estimate = groups * whole - without.reduce((sum, { ratio, fid }) => sum + (1 - 1 / ratio) * fid, 0);
  const squares = without.map(({ ratio, fid }) => (ratio * whole - (ratio - 1) * fid - estimate) ** 2 / (ratio - 1));
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / groups);
}
