import { isMap, isNode, isPair, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { Dd2Error } from './errors.js';

/** A run spec is the complete, validated, reviewable value that describes one distillation. Larger inputs are refused. */
const MAX_SPEC_BYTES = 64 * 1024;
const WHOLE = 'the whole document';
/** zod about a field that is not there */
const MISSING = /^Invalid input: (expected .+), received undefined$/;

const positive = z.number().positive();
const count = z.number().int().min(0).max(100_000_000);
const atLeastOne = z.number().int().min(1).max(100_000_000);
const fraction = z.number().min(0).lt(1);

const optimizer = z.strictObject({
  learningRate: positive.max(10),
  betas: z.tuple([fraction, fraction]).default([0.9, 0.99]),
  epsilon: positive.default(1e-8),
  weightDecay: z.number().min(0).default(0),
  /** global-norm clip; 0 switches it off */
  clip: z.number().min(0).default(0),
  /** updates of linear warm-up */
  warmup: count.default(0),
  /** `cosine` goes from learningRate to floor * learningRate over the phase */
  decay: z.enum(['constant', 'cosine']).default('constant'),
  floor: fraction.default(0),
});

const execution = z.strictObject({ provider: z.enum(['cpu', 'webgpu', 'cuda']).default('cpu'), intraOpThreads: atLeastOne.max(256).default(1) });

/** range of noise levels; `stratified` spreads the draws of a position evenly over it */
const timeRange = z
  .strictObject({ min: positive.lt(1), max: positive.max(1).default(1), stratified: z.boolean().default(false) })
  .refine((t) => t.min < t.max, { message: 'min must be below max', path: ['min'] });

/** samples per update, cut into micro-batches that workers lease */
const batching = { batch: atLeastOne.max(65_536), microBatches: atLeastOne.max(4_096) };
const divides = (b: { batch: number; microBatches: number }): boolean => b.batch % b.microBatches === 0;
const dividesMessage = { message: 'batch must be a multiple of microBatches', path: ['microBatches'] };

const tune = z
  .strictObject({ updates: atLeastOne, ...batching, draws: atLeastOne.max(64).default(2), time: timeRange, optimizer, ema: fraction })
  .refine(divides, dividesMessage);

const regress = z
  .strictObject({
    updates: atLeastOne,
    ...batching,
    /** teacher ODE pairs (noise, tokens) to compute, and Euler steps per token */
    pairs: atLeastOne.max(10_000_000),
    odeSteps: atLeastOne.max(1_000).default(20),
    optimizer,
    ema: fraction,
  })
  .refine(divides, dividesMessage);

const side = z.strictObject({ ...batching, draws: atLeastOne.max(64), optimizer }).refine(divides, dividesMessage);

const distill = z
  .strictObject({
    /** guidance-only updates before the alternation starts (performance alignment) */
    align: count,
    generatorUpdates: atLeastOne,
    cycle: z.strictObject({ guidance: count.max(1_000), generator: atLeastOne.max(1_000) }),
    objective: z.strictObject({
      form: z.enum(['sid', 'dmd']),
      alpha: z.number().min(0).max(4).default(1),
      weight: z.enum(['uniform', 'inverse-time', 'token-normalised']).default('inverse-time'),
    }),
    /** are the tokens that condition teacher and guidance network snapped to the nearest code? */
    contexts: z.enum(['snapped', 'continuous']).default('snapped'),
    time: timeRange,
    guidance: side,
    generator: side,
    ema: fraction,
  });

/**
 * Where teacher queries are computed: `fused` into the updates' programs, on any worker, or leased to the workers of a
 * teacher pool (`dd2 worker --role teacher`), whose execution may differ from that of the other workers.
 */
const teacher = z.strictObject({ placement: z.enum(['fused', 'pool']).default('fused'), execution: execution.optional() });

/** guidance updates that the loss of the guidance network is averaged over: one update alone says little */
const lossWindow = atLeastOne.max(1_000).default(50);

/**
 * Alarm when the averaged guidance loss exceeds `factor` times its lowest value so far. An alarm is told and changes nothing,
 * so there is one by default; healthy runs of configs/ stay below 2 to 3.
 */
const guidanceAlarm = z.strictObject({ window: lossWindow, factor: z.number().gt(1).max(1e6).default(4) });
export const defaultGuidanceAlarm = guidanceAlarm.parse({});

/** What is made of signs of trouble in the training; TrainingHealth has the formulas. */
const health = z.strictObject({
  guidanceAlarm: guidanceAlarm.default(defaultGuidanceAlarm),
  /** ends the run at its best evaluation when `evaluations` periodic evaluations in a row were not lower by more than `minimumImprovement` */
  patience: z.strictObject({ evaluations: atLeastOne.max(10_000), minimumImprovement: z.number().min(0).max(1e6).default(0) }).optional(),
  /** inserts `updates` guidance updates when the averaged guidance loss exceeds `factor` times that at the end of the last alignment; at most `limit` times */
  realign: z
    .strictObject({ window: lossWindow, factor: z.number().gt(1).max(1e6).default(2), updates: atLeastOne.max(100_000).default(50), limit: atLeastOne.max(100).default(10) })
    .optional(),
});

// New sections are optional and have no default: the specs of existing runs, and with them their SHA-256, stay what they are.
export const runSpecSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'use lower-case letters, digits and dashes'),
  seed: z.number().int().min(0).max(2 ** 48),
  /** folder of the asset bundle (data set, teacher, tokenizer, feature network), relative to the spec file */
  assets: z.string().min(1).max(1_024),
  model: z.strictObject({ headWidth: atLeastOne.max(16_384), headBlocks: atLeastOne.max(64) }),
  execution: execution.default({ provider: 'cpu', intraOpThreads: 1 }),
  teacher: teacher.optional(),
  phases: z.strictObject({ tune, regress: regress.optional(), distill }),
  evaluation: z.strictObject({
    /** generator updates between evaluations */
    everyGeneratorUpdates: atLeastOne,
    samples: atLeastOne.max(1_000_000).default(2_000),
    /** samples of the evaluation at the end of the run, with fresh noise */
    finalSamples: atLeastOne.max(1_000_000).default(5_000),
    /** the quickstart also measures these multi-step settings (first k tokens kept) */
    multiStep: z.array(atLeastOne).max(16).default([]),
    noiseSeed: z.number().int().min(0).max(2 ** 48).default(123),
  }),
  checkpoint: z
    .strictObject({ everyUpdates: atLeastOne.default(200), keep: atLeastOne.max(1_000).default(3) })
    .default({ everyUpdates: 200, keep: 3 }),
  /** non-finite updates in a row after which the run fails */
  nonFiniteLimit: atLeastOne.default(10),
  health: health.optional(),
}).refine(({ health, phases: { distill } }) => !health?.realign || (distill.align > 0 && distill.cycle.guidance > 0), {
  message: 'the guidance loss is compared with that at the end of align, in every cycle: phases.distill.align and phases.distill.cycle.guidance must be at least 1',
  path: ['health', 'realign'],
});

export type RunSpec = z.infer<typeof runSpecSchema>;
export type OptimizerSpec = RunSpec['phases']['tune']['optimizer'];
export type TimeRange = RunSpec['phases']['tune']['time'];

/**
 * Parses a run spec from YAML text; `overrides` are `key.path=value` assignments applied before validation.
 * @throws {Dd2Error} INVALID_SPEC naming the field and the remedy
 */
export function parseRunSpec(text: string, overrides: readonly string[] = []): RunSpec {
  return validateRunSpec(toValue(readDocument(text, overrides), 'the run spec', WHOLE));
}

/** One thing that is wrong with a run spec. */
export interface SpecProblem {
  /** dotted path of the field */
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
  /** line of the text, from 1; 0 when it is about no line of it */
  readonly line: number;
}

/** Everything that is wrong with a run spec; the spec when nothing is. `parseRunSpec` throws the first of these problems. */
export function checkRunSpec(text: string, overrides: readonly string[] = []): { readonly spec: RunSpec } | { readonly problems: readonly SpecProblem[] } {
  const lines = new LineCounter();
  try {
    const document = readDocument(text, overrides, lines);
    const parsed = runSpecSchema.safeParse(toValue(document, 'the run spec', WHOLE));
    if (parsed.success) return { spec: parsed.data };
    return { problems: parsed.error.issues.flatMap(describeIssue).map(({ path, message, ...problem }) => ({ ...problem, message: message.replace(MISSING, 'it is missing; $1'), line: isGiven(overrides, path) ? 0 : lineOf(document, path, lines) })) };
  } catch (thrown) {
    const { problem, field = WHOLE, remedy = '' } = Dd2Error.from(thrown, 'INVALID_SPEC');
    return { problems: [{ field, message: problem, remedy, line: Number(/^line (\d+)$/.exec(field)?.[1] ?? 0) }] };
  }
}

function readDocument(text: string, overrides: readonly string[], lineCounter?: LineCounter): Document {
  if (Buffer.byteLength(text) > MAX_SPEC_BYTES) {
    throw new Dd2Error('INVALID_SPEC', `the run spec is larger than ${MAX_SPEC_BYTES} bytes`, { field: WHOLE, remedy: 'Is this the right file?' });
  }
  const document = parseDocument(text, { merge: false, logLevel: 'error', ...(lineCounter ? { lineCounter } : {}) });
  const syntax = document.errors[0];
  if (syntax) {
    throw new Dd2Error('INVALID_SPEC', `the run spec is not valid YAML: ${firstLine(syntax.message)}`, {
      field: syntax.linePos ? `line ${syntax.linePos[0].line}` : WHOLE,
      remedy: 'Correct the YAML there',
      cause: syntax,
    });
  }
  for (const override of overrides) applyOverride(document, override);
  return document;
}

/** Whether an override gave the value of a field: no line of the text did. */
function isGiven(overrides: readonly string[], path: readonly PropertyKey[]): boolean {
  const field = `${path.join('.')}.`;
  return overrides.some((override) => field.startsWith(`${override.slice(0, override.indexOf('='))}.`));
}

/** Where a field stands; where the nearest thing around it begins when it is missing. */
function lineOf(document: Document, path: readonly PropertyKey[], lines: LineCounter): number {
  for (let length = path.length; length > 0; length--) {
    const around = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const pair = isMap(around) ? around.items.find((item) => isPair(item) && isNode(item.key) && item.key.toJSON() === key) : undefined;
    const value = isMap(around) ? undefined : document.getIn(path.slice(0, length), true);
    const node = pair ? pair.key : value;
    if (!pair && !isNode(value)) continue; // it is missing
    return isNode(node) && node.range ? lines.linePos(node.range[0]).line : 0;
  }
  return 0;
}

/** Aliases are resolved here: unknown ones, and ones that multiply (`*a` in `*b` in `*c` ...), are refused. */
function toValue(document: Document, subject: string, field: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new Dd2Error('INVALID_SPEC', `${subject} cannot be expanded: ${cause instanceof Error ? firstLine(cause.message) : String(cause)}`, {
      field,
      remedy: 'Write the values out instead of using YAML aliases',
      cause,
    });
  }
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.replace(/:$/, '') ?? message;
}

/** Validates an already decoded value. @throws {Dd2Error} INVALID_SPEC */
export function validateRunSpec(value: unknown): RunSpec {
  const parsed = runSpecSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues.flatMap(describeIssue);
  if (!first) throw new Dd2Error('INVALID_SPEC', 'the run spec is invalid', { field: WHOLE, remedy: 'Compare it with configs/mnist.yaml', cause: parsed.error });
  throw new Dd2Error('INVALID_SPEC', first.message, { field: first.field, remedy: first.remedy, cause: parsed.error });
}

function describeIssue(issue: z.core.$ZodIssue): (Omit<SpecProblem, 'line'> & { readonly path: readonly PropertyKey[] })[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { path, field: path.join('.'), message: `unknown field "${key}"`, remedy: 'Remove it, or compare its spelling with configs/mnist.yaml' };
    });
  }
  const field = issue.path.join('.');
  return [{ path: issue.path, field: field === '' ? WHOLE : field, message: issue.message, remedy: `Correct ${field || 'the document'} in the run spec` }];
}

function applyOverride(document: Document, override: string): void {
  const split = override.indexOf('=');
  const path = override.slice(0, split).split('.');
  if (split <= 0 || path.some((key) => key === '')) {
    throw new Dd2Error('INVALID_SPEC', `--set needs key.path=value, got "${override}"`, { field: '--set', remedy: 'For example --set phases.distill.ema=0.99' });
  }
  const value = parseDocument(override.slice(split + 1), { logLevel: 'error' });
  if (value.errors[0]) {
    throw new Dd2Error('INVALID_SPEC', `--set ${override}: the value is not valid YAML`, { field: path.join('.'), remedy: 'Quote the value', cause: value.errors[0] });
  }
  const decoded = toValue(value, `--set ${override}: the value`, path.join('.'));
  try {
    document.setIn(path, decoded);
  } catch (cause) {
    throw new Dd2Error('INVALID_SPEC', `--set ${override}: there is no such place in the run spec`, { field: path.join('.'), remedy: 'Compare the path with configs/mnist.yaml', cause });
  }
}
