/** What the series take from a line of metrics.jsonl. */
export interface MetricsLine {
  readonly update: number;
  readonly phase: string;
  readonly network: string;
  readonly generatorUpdates: number;
  readonly samples: number;
  readonly committed: boolean;
  /** when the update was over, milliseconds since the epoch; lines of older runs have none */
  readonly at: number | undefined;
  readonly wallMs: number;
  /** metrics of the update's own group, see `seriesGroups`; JSON writes null for what is not finite, here that is NaN */
  readonly own: readonly (readonly [metric: string, value: number])[];
  /** metrics that every update has */
  readonly every: readonly (readonly [metric: string, value: number])[];
}

/** Losses that are kept: a program has a handful. */
const MOST_LOSSES = 32;
const LONGEST_NAME = 100;
const timings = ['wallMs', 'computeMs', 'transferMs', 'reduceMs', 'optimizeMs', 'publishMs', 'overhead'] as const;
const counts = ['workers', 'skippedUpdates'] as const;

type Fields = Readonly<Record<string, unknown>>;

/** Reads one line; nothing when it is no update's: cut off by a crash, or something else. */
export function parseMetricsLine(text: string): MetricsLine | undefined {
  const line = parseObject(text);
  if (!line) return undefined;
  const { update, phase, network, generatorUpdates, samples, committed, at, losses, gradientNorm, learningRate } = line;
  if (typeof update !== 'number' || !Number.isInteger(update) || update < 0 || update >= 0xffffffff) return undefined;
  if (typeof phase !== 'string' || typeof network !== 'string') return undefined;

  const own: [string, number][] = [];
  if (isFields(losses)) {
    for (const metric of Object.keys(losses)) {
      if (own.length < MOST_LOSSES && metric.length <= LONGEST_NAME && metric !== 'gradientNorm' && metric !== 'learningRate') add(own, metric, losses[metric]);
    }
  }
  add(own, 'gradientNorm', gradientNorm);
  add(own, 'learningRate', learningRate);

  const every: [string, number][] = [];
  const timing = isFields(line['timing']) ? line['timing'] : {};
  for (const metric of timings) add(every, metric, timing[metric]);
  for (const metric of counts) add(every, metric, line[metric]);

  return {
    update,
    phase,
    network,
    generatorUpdates: Math.floor(amount(generatorUpdates, 0xffffffff)),
    samples: amount(samples),
    committed: committed !== false,
    at: typeof at === 'number' && Math.abs(at) <= Number.MAX_SAFE_INTEGER ? at : undefined,
    wallMs: amount(timing['wallMs']),
    own,
    every,
  };
}

function add(metrics: [string, number][], metric: string, value: unknown): void {
  if (typeof value === 'number') metrics.push([metric, value]);
  else if (value === null) metrics.push([metric, NaN]);
}

/** A number that is added up: one that is missing, or cannot be meant, adds nothing. */
function amount(value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  return typeof value === 'number' && value > 0 && value <= most ? value : 0;
}

function parseObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
