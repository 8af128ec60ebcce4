const suffixes: Readonly<Record<string, number>> = { n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 };

/** The number that a resource quantity such as `250m` or `2Gi` stands for; undefined for what is none. */
export function parseQuantity(text: string): number | undefined {
  const [, digits, suffix = ''] = /^(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(text) ?? [];
  const factor = Object.hasOwn(suffixes, suffix) ? suffixes[suffix] : undefined;
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

const seconds: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, y: 31_536_000 };

/** Seconds of a duration such as `1h30m`; undefined for what is none. @param units that may be used */
export function parseDuration(text: string, units: readonly string[]): number | undefined {
  const parts = [...text.matchAll(/(\d+)(ms|[a-z])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text || !parts.every(([, , unit = '']) => units.includes(unit))) return undefined;
  return parts.reduce((total, [, count, unit = '']) => total + Number(count) * (seconds[unit] ?? NaN), 0);
}
