import fc from 'fast-check';

/** A line of metrics as a file may have it: `losses` and the rest as JSON values. */
export interface RawLine {
  readonly update: number;
  readonly phase: string;
  readonly network: string;
  readonly at?: number;
  readonly generatorUpdates: number;
  readonly samples: number;
  readonly committed: boolean;
  readonly skippedUpdates: number;
  readonly learningRate: number;
  readonly gradientNorm: number | null;
  readonly losses: Readonly<Record<string, number | null>>;
  readonly workers: number;
  readonly timing: Readonly<Record<string, number | null>>;
}

export interface Point {
  /** index of the line */
  readonly row: number;
  readonly value: number;
}

const number = fc.double({ noDefaultInfinity: true, noNaN: true });
const measured = fc.oneof({ weight: 6, arbitrary: fc.double({ min: -10, max: 10, noNaN: true }) }, { weight: 1, arbitrary: number }, { weight: 1, arbitrary: fc.constant(null) });
const kinds = [
  { phase: 'tune', network: 'generator' },
  { phase: 'regress', network: 'generator' },
  { phase: 'align', network: 'guidance' },
  { phase: 'distill', network: 'guidance' },
  { phase: 'distill', network: 'generator' },
] as const;

const draw = fc.record({
  gap: fc.oneof({ weight: 20, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 9 }) }),
  kind: fc.constantFrom(...kinds),
  loss: measured,
  rare: fc.option(measured, { nil: undefined, freq: 3 }),
  gradientNorm: measured,
  samples: fc.integer({ min: 0, max: 200 }),
  wallMs: fc.double({ min: 0.1, max: 500, noNaN: true }),
  pauseMs: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -5_000, max: 100_000 }) }),
  committed: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  hasClock: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
});

/** Lines of a run: ascending updates, some missing; losses that are not in every line, or not finite; pauses; a clock that is set back. */
export const rawLines = fc.array(draw, { maxLength: 400, size: 'max' }).map((drawn): RawLine[] => {
  let [update, generatorUpdates, at] = [-1, 0, 1_700_000_000_000];
  const lines = drawn.map(({ gap, kind, loss, rare, gradientNorm, samples, wallMs, pauseMs, committed, hasClock }) => {
    update += gap;
    at += Math.round(wallMs) + pauseMs;
    if (kind.phase === 'distill' && kind.network === 'generator') generatorUpdates += 1;
    return {
      update,
      ...kind,
      ...(hasClock ? { at } : {}),
      generatorUpdates,
      samples,
      committed,
      skippedUpdates: 0,
      learningRate: 1e-3,
      gradientNorm,
      losses: { loss, ...(rare === undefined ? {} : { rare }) },
      workers: 1 + (update % 3),
      timing: { wallMs, computeMs: wallMs * 0.9 },
    };
  });
  return JSON.parse(JSON.stringify(lines)) as RawLine[]; // as a file has them: there is no -0
});

export function textOf(lines: readonly RawLine[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** The points of every series that lines have as they are, computed in the plainest way. */
export function pointsOf(lines: readonly RawLine[]): Map<string, Point[]> {
  const points = new Map<string, Point[]>();
  const add = (name: string, row: number, value: number | null): void => {
    const own = points.get(name) ?? [];
    points.set(name, own);
    own.push({ row, value: value ?? NaN });
  };
  lines.forEach(({ phase, network, losses, gradientNorm, learningRate, timing, workers, skippedUpdates }, row) => {
    const group = phase === 'tune' || phase === 'regress' ? phase : network;
    for (const [metric, value] of Object.entries({ ...losses, gradientNorm, learningRate })) add(`${group}.${metric}`, row, value);
    for (const [metric, value] of Object.entries({ ...timing, workers, skippedUpdates })) add(`update.${metric}`, row, value);
  });
  return points;
}

/** The places of lines on the axes that are sums, in the plainest way. */
export function placesOf(lines: readonly RawLine[]): { readonly updates: number[]; readonly generatorUpdates: number[]; readonly samples: number[] } {
  return {
    updates: lines.map(({ update }) => update + 1),
    generatorUpdates: lines.map((line) => line.generatorUpdates),
    samples: lines.map((_, row) => lines.slice(0, row + 1).reduce((sum, { samples }) => sum + samples, 0)),
  };
}
