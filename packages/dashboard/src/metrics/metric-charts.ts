/** One chart of metrics: which series it has, and how it is read. */
export interface MetricChart {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly unit: string;
  readonly group: MetricGroup;
  readonly names: readonly string[];
  /** what each of several series is called; they differ by their dashes */
  readonly labels?: readonly string[];
  /** areas on top of each other, one chart for each run */
  readonly stacked?: boolean;
  /** whether the value axis begins at 0 */
  readonly fromZero?: boolean;
  /** whether values are whole numbers */
  readonly whole?: boolean;
  /** false for what does not fluctuate */
  readonly smooth?: false;
}

export const metricGroups = ['Objectives', 'Gradients and learning rates', 'Speed', 'Others'] as const;
export type MetricGroup = (typeof metricGroups)[number];

export const frequencyChart = 'guidance-per-generator';

/** The series of the time of an update, in the order in which they happen. */
const phases = ['update.computeMs', 'update.transferMs', 'update.reduceMs', 'update.optimizeMs', 'update.publishMs'];

/** The charts of what every run has, in the order of the page. */
const known: readonly MetricChart[] = [
  {
    id: 'guidance-loss',
    title: 'Guidance loss',
    hint: 'Denoising error of the guidance network on the generator’s samples (fake conditional score), mean square per dimension. Its floor is the spread of the samples, not 0.',
    unit: '',
    group: 'Objectives',
    names: ['guidance.loss'],
  },
  {
    id: 'generator-loss',
    title: 'Generator loss',
    hint: 'The conditional-score-distillation objective, summed over dimensions. It is no distance and may be negative: its gradient counts, not its height.',
    unit: '',
    group: 'Objectives',
    names: ['generator.loss'],
  },
  {
    id: 'score-error',
    title: 'Conditional-score error',
    hint: 'How far the generator’s conditional score is from the teacher’s: mean square of the difference of the posterior means of teacher and guidance network, per dimension, at noisy versions of the generator’s samples. 0 when the distributions agree.',
    unit: '',
    group: 'Objectives',
    names: ['generator.gap'],
  },
  {
    id: 'warm-up-loss',
    title: 'Tune and regress loss',
    hint: 'Before distillation. Tune: velocity error against the teacher’s closed-form velocity. Regress: error against the tokens of the teacher’s ODE. Both mean square per dimension.',
    unit: '',
    group: 'Objectives',
    names: ['tune.loss', 'regress.loss'],
    labels: ['tune', 'regress'],
  },
  {
    id: 'guidance-gradient',
    title: 'Gradient norm, guidance',
    hint: 'Euclidean norm of the mean gradient of a guidance update, before clipping.',
    unit: '',
    group: 'Gradients and learning rates',
    names: ['guidance.gradientNorm'],
  },
  {
    id: 'generator-gradient',
    title: 'Gradient norm, generator',
    hint: 'Euclidean norm of the mean gradient of a generator update, before clipping.',
    unit: '',
    group: 'Gradients and learning rates',
    names: ['generator.gradientNorm'],
  },
  {
    id: 'warm-up-gradient',
    title: 'Gradient norm, tune and regress',
    hint: 'Euclidean norm of the mean gradient before distillation, before clipping.',
    unit: '',
    group: 'Gradients and learning rates',
    names: ['tune.gradientNorm', 'regress.gradientNorm'],
    labels: ['tune', 'regress'],
  },
  {
    id: 'learning-rate',
    title: 'Learning rate',
    hint: 'Of the update’s network, as the schedule says.',
    unit: '',
    group: 'Gradients and learning rates',
    names: ['generator.learningRate', 'guidance.learningRate', 'tune.learningRate', 'regress.learningRate'],
    labels: ['generator', 'guidance', 'tune', 'regress'],
    fromZero: true,
    smooth: false,
  },
  {
    id: 'update-phases',
    title: 'Time of an update',
    hint: 'Where the time of an update goes. Compute: execution on the busiest worker. Transfer: leases, parameters and gradients on their way. Then reduce, optimize and publish on the coordinator.',
    unit: 'ms',
    group: 'Speed',
    names: phases,
    labels: ['compute', 'transfer', 'reduce', 'optimize', 'publish'],
    stacked: true,
    fromZero: true,
    smooth: false,
  },
  {
    id: 'samples-per-second',
    title: 'Samples per second',
    hint: 'Over the last 50 updates of the phase, pauses left out.',
    unit: '1/s',
    group: 'Speed',
    names: ['update.samplesPerSecond'],
    fromZero: true,
  },
  {
    id: 'updates-per-second',
    title: 'Updates per second',
    hint: 'Over the last 50 updates of the phase, pauses left out.',
    unit: '1/s',
    group: 'Speed',
    names: ['update.updatesPerSecond'],
    fromZero: true,
  },
  {
    id: frequencyChart,
    title: 'Guidance updates per generator update',
    hint: 'The update frequency actually achieved, over the last 50 generator updates. It differs from the declared cycle when updates are skipped or when the guidance network is aligned again.',
    unit: '',
    group: 'Speed',
    names: ['update.guidancePerGenerator'],
    fromZero: true,
  },
  { id: 'workers', title: 'Workers', hint: 'Connected when the update was over.', unit: '', group: 'Speed', names: ['update.workers'], fromZero: true, whole: true, smooth: false },
  {
    id: 'overhead',
    title: 'Overhead',
    hint: 'Share of the time of an update in which no worker computed for it.',
    unit: 'share',
    group: 'Speed',
    names: ['update.overhead'],
    fromZero: true,
  },
  { id: 'skipped', title: 'Skipped updates', hint: 'Updates so far whose gradient was not finite. They are never committed.', unit: '', group: 'Speed', names: ['update.skippedUpdates'], fromZero: true, whole: true, smooth: false },
];

/** Series that are drawn by no chart of their own: the sum of the phases shows them. */
const covered = new Set(['update.wallMs']);

/**
 * The charts of a view: the known ones that have any of the series that there are, then one for each series that nobody knows.
 * Before anything is known, all known ones: most runs have them.
 */
export function metricCharts(available: ReadonlyMap<string, number>): readonly MetricChart[] {
  if (available.size === 0) return known;
  const isDrawn = new Set([...covered, ...known.flatMap(({ names }) => names)]);
  const others = [...available.keys()].filter((name) => !isDrawn.has(name)).sort();
  return [
    ...known.filter(({ names }) => names.some((name) => (available.get(name) ?? 0) > 0)),
    ...others.map((name): MetricChart => ({ id: `other-${name}`, title: name, hint: `The series ${name} of the run’s metrics.`, unit: name.endsWith('Ms') ? 'ms' : '', group: 'Others', names: [name] })),
  ];
}

/** Whether a chart is meant by the words somebody looks for: each of them is in its title or the names of its series. */
export function isMeant({ title, names, group }: MetricChart, words: string): boolean {
  const text = [title, group, ...names].join(' ').toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
