/** Values that an average remembers at the end of the slider. */
const longest = 1000;

/** The forgetting factor at a position from 0 to 100 of the slider: 1 - 1/n with n from 1 to 1000, even in log n. */
export function factorAt(position: number): number {
  const values = longest ** (Math.min(100, Math.max(0, position)) / 100);
  const factor = 1 - 1 / values;
  return Number(factor.toFixed(factor < 0.9 ? 3 : 5));
}

/** The whole position that is nearest to a factor's. */
export function positionOf(factor: number): number {
  return factor <= 0 ? 0 : Math.min(100, Math.round((Math.log(1 / (1 - factor)) / Math.log(longest)) * 100));
}

export function factorText(factor: number): string {
  return factor === 0 ? 'off' : factor.toFixed(factor < 0.95 ? 2 : factor < 0.99 ? 3 : 4);
}
