/** Index of the first of ascending values that is not below `value`; the length when all are. */
export function firstNotBelow(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the ascending value that is nearest, the earlier of two that are as near; undefined when there is none. */
export function nearestIndex(ascending: readonly number[], value: number): number | undefined {
  if (ascending.length === 0 || Number.isNaN(value)) return undefined;
  const after = firstNotBelow(ascending, value);
  if (after === 0) return 0;
  if (after === ascending.length) return firstNotBelow(ascending, ascending[after - 1] as number);
  const before = firstNotBelow(ascending, ascending[after - 1] as number);
  return value - (ascending[before] as number) <= (ascending[after] as number) - value ? before : after;
}
