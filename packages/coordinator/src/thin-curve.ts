/**
 * At most `most` points of a curve, in their order: the first, the last and the lowest stay, the others are spread evenly.
 * @param most at least 3
 */
export function thinCurve<T extends { readonly fid: number }>(curve: readonly T[], most: number): readonly T[] {
  if (curve.length <= most) return curve;
  const lowest = curve.reduce((best, { fid }, index) => (fid < (curve[best]?.fid ?? Infinity) ? index : best), 0);
  const kept = new Set([0, curve.length - 1, lowest]);
  const step = (curve.length - 1) / (most - 2);
  for (let index = step; kept.size < most && index < curve.length - 1; index += step) kept.add(Math.round(index));
  return curve.filter((_, index) => kept.has(index));
}
