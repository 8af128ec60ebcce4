import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { encodeGridPng } from '@dd2/assets';
import { parseRunSpec, schedule, type RunSpec, type UpdatePlan } from '@dd2/core';
import { stringify } from 'yaml';
import type { EvaluationRecord } from '../evaluate.js';
import type { UpdateMetrics } from '../run-state.js';

export interface LongRunOptions {
  readonly runId?: string;
  readonly state?: 'completed' | 'paused';
  /** decides about the noise of all values */
  readonly seed?: number;
  /** periodic evaluations, spread over distill (default 40) */
  readonly evaluations?: number;
  /** with sample grids (default true) */
  readonly grids?: boolean;
}

export interface LongRun {
  readonly runId: string;
  readonly spec: RunSpec;
  /** a single value that stands far above its neighbours: whoever draws the run must show it */
  readonly spike: { readonly series: 'generator.gap'; readonly update: number; readonly value: number };
  /** updates whose gradient was not finite */
  readonly skipped: number;
  /** of the periodic evaluations */
  readonly fid: readonly { readonly update: number; readonly fid: number }[];
}

const BEGAN_AT = Date.parse('2026-01-05T08:00:00.000Z');
const PAUSE_MS = 3_600_000;

/**
 * Writes the folder of a run that never was, as a coordinator would leave it: spec, history, a line of metrics for each update with a
 * pause half-way, evaluations. A coordinator that is started on the data folder finds the run; there are no checkpoints.
 * @param updates from 100 to some millions; 1,000,000 are half a gigabyte
 */
export function makeLongRun(dataDir: string, updates: number, { runId = 'mnist-long', state = 'completed', seed = 1, evaluations = 40, grids = true }: LongRunOptions = {}): LongRun {
  const spec = longSpec(updates);
  const folder = join(dataDir, 'runs', runId);
  for (const name of ['checkpoints', 'evaluations']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'spec.yaml'), stringify(spec));
  writeFileSync(join(folder, 'queue.json'), `${JSON.stringify({ priority: 0 })}\n`);
  writeFileSync(join(folder, 'run.json'), `${JSON.stringify({ runId, name: spec.name, key: '', createdAt: new Date(BEGAN_AT).toISOString() })}\n`);

  const random = noise(seed);
  const total = spec.phases.distill.generatorUpdates;
  const everyGenerator = Math.max(1, Math.floor(total / evaluations));
  const fid: { update: number; fid: number }[] = [];
  const events: object[] = [];
  let spike: LongRun['spike'] | undefined;
  let [at, skipped, skippedInARow] = [BEGAN_AT, 0, 0];
  const event = (kind: string, message: string, runState: string, plan: UpdatePlan | undefined, more: object = {}): void => {
    const cycle = plan?.cycle;
    const { guidance, generator } = spec.phases.distill.cycle;
    events.push({
      sequence: events.length + 1,
      at: new Date(at).toISOString(),
      kind,
      message,
      state: runState,
      phase: plan?.phase ?? '',
      update: plan ? plan.update + 1 : 0,
      totalUpdates: updates,
      cyclePosition: cycle?.position ?? 0,
      cycleLength: cycle ? guidance + generator : 0,
      cycleGuidance: cycle ? guidance : 0,
      generatorUpdates: plan ? doneGeneratorUpdates(plan) : 0,
      network: plan?.network ?? '',
      workers: 2,
      metrics: {},
      ...more,
    });
  };
  event('submitted', `run ${runId} was submitted`, 'queued', undefined);
  event('started', 'the run starts', 'running', undefined);

  const file = openSync(join(folder, 'metrics.jsonl'), 'w');
  try {
    let lines: string[] = [];
    let last: UpdatePlan | undefined;
    for (let update = 0; update < updates; update++) {
      const plan = schedule(update, spec);
      const done = doneGeneratorUpdates(plan);
      if (plan.phase !== last?.phase) event('phase', `phase ${plan.phase} starts at update ${update}`, 'running', last, { phase: plan.phase });
      if (update === updates >> 1) at += PAUSE_MS;
      const wallMs = (plan.network === 'generator' ? 60 : 35) * (0.9 + 0.2 * random()) + (random() < 0.001 ? 400 : 0);
      at += Math.ceil(wallMs);
      const committed = random() > 20 / updates;
      skipped += committed ? 0 : 1;
      skippedInARow = committed ? 0 : skippedInARow + 1;
      const losses = lossesOf(plan, update / updates, random);
      if (plan.phase === 'distill' && plan.network === 'generator' && !spike && done > total / 3) {
        spike = { series: 'generator.gap', update: update + 1, value: 7.654321 };
        losses['gap'] = spike.value;
      }
      lines.push(JSON.stringify(lineOf(plan, { at, wallMs, committed, skipped, skippedInARow, losses, gradientNorm: committed ? 0.5 + 3 * random() : NaN, random })));
      if (lines.length === 8_192 || update + 1 === updates) {
        writeSync(file, `${lines.join('\n')}\n`);
        lines = [];
      }
      if (plan.phase === 'distill' && plan.network === 'generator' && done % everyGenerator === 0) {
        const record = evaluationOf(update + 1, done, done / total, random);
        fid.push({ update: record.update, fid: record.fid });
        writeFileSync(join(folder, 'evaluations', `${record.update}.json`), `${JSON.stringify(record, null, 2)}\n`);
        if (grids) writeFileSync(join(folder, 'evaluations', `${record.update}.png`), gridOf(done / total));
        event('evaluation', `FID ${record.fid.toFixed(2)} (${record.samples} samples, accuracy ${record.accuracy.toFixed(3)}) after ${record.update} updates`, 'running', plan, { fid: record.fid, fidSamples: record.samples, fidUpdate: record.update });
      }
      last = plan;
    }
    event(state, state === 'completed' ? 'all updates are done' : 'the run is paused', state, last);
  } finally {
    closeSync(file);
  }
  writeFileSync(join(folder, 'events.jsonl'), events.map((one) => `${JSON.stringify(one)}\n`).join(''));
  if (!spike) throw new RangeError(`${updates} updates are too few`);
  return { runId, spec, spike, skipped, fid };
}

/** The laptop's spec, with phases that fill so many updates. */
function longSpec(updates: number): RunSpec {
  const spec = parseRunSpec(readFileSync(join(import.meta.dirname, '../../../../configs/mnist.yaml'), 'utf8'));
  const { tune, regress, distill } = spec.phases;
  const cycle = distill.cycle.guidance + distill.cycle.generator;
  const early = Math.floor(updates / 10);
  const generatorUpdates = Math.floor((0.75 * updates) / cycle) * distill.cycle.generator;
  const align = updates - 2 * early - (generatorUpdates / distill.cycle.generator) * cycle;
  return {
    ...spec,
    name: 'mnist-long',
    assets: join(import.meta.dirname, '../../../../assets/mnist'),
    phases: { tune: { ...tune, updates: early }, ...(regress ? { regress: { ...regress, updates: early } } : {}), distill: { ...distill, align, generatorUpdates } },
  };
}

interface Drawn {
  readonly at: number;
  readonly wallMs: number;
  readonly committed: boolean;
  readonly skipped: number;
  readonly skippedInARow: number;
  readonly losses: Record<string, number>;
  readonly gradientNorm: number;
  readonly random: () => number;
}

function lineOf(plan: UpdatePlan, { at, wallMs, committed, skipped, skippedInARow, losses, gradientNorm, random }: Drawn): UpdateMetrics {
  const computeMs = wallMs * (0.8 + 0.1 * random());
  const rest = wallMs - computeMs;
  return {
    update: plan.update,
    phase: plan.phase,
    network: plan.network,
    at,
    ...(plan.cycle ? { cyclePosition: plan.cycle.position } : {}),
    generatorUpdates: doneGeneratorUpdates(plan),
    samples: plan.batch,
    committed,
    skippedUpdates: skipped,
    skippedInARow,
    version: plan.update + 2 - skipped,
    learningRate: plan.learningRate,
    gradientNorm,
    losses,
    workers: 2,
    timing: { wallMs, computeMs, transferMs: rest * 0.7, reduceMs: rest * 0.01 * random(), optimizeMs: rest * 0.2, publishMs: rest * 0.1 * random(), overhead: rest / wallMs },
  };
}

function lossesOf({ phase, network }: UpdatePlan, progress: number, random: () => number): Record<string, number> {
  const about = (value: number): number => value * (0.85 + 0.3 * random());
  if (phase === 'tune' || phase === 'regress') return { loss: about(0.09 + 1.6 * Math.exp(-60 * progress)) };
  if (network === 'guidance') return { loss: about(0.36 + 0.2 * Math.exp(-5 * progress)) };
  return { loss: about(-0.35), gap: about(0.06 + 0.3 * Math.exp(-6 * progress)) };
}

function evaluationOf(update: number, generatorUpdates: number, progress: number, random: () => number): EvaluationRecord {
  return {
    update,
    generatorUpdates,
    sampler: 'one-step',
    fid: 6 + 20 * Math.exp(-6 * progress) + random(),
    fidStandardError: 0.25,
    samples: 2_000,
    classCounts: new Array<number>(10).fill(200),
    accuracy: 0.97 + 0.01 * random(),
    noiseSeed: 123,
    featureNetworkSha256: '0'.repeat(64),
    referenceSha256: '0'.repeat(64),
    millisecondsPerImage: 0.35,
    seconds: 1,
  };
}

/** Squares that grow with the run, lighter from cell to cell: a grid of which one sees at a glance where it comes from. */
function gridOf(progress: number): Uint8Array {
  const side = 28;
  const half = 2 + Math.round(11 * progress);
  const data = new Uint8Array(100 * side * side);
  for (let cell = 0; cell < 100; cell++) {
    for (let y = 14 - half; y < 14 + half; y++) data.fill(105 + cell, cell * side * side + y * side + 14 - half, cell * side * side + y * side + 14 + half);
  }
  return encodeGridPng({ dtype: 'uint8', shape: [100, side, side], data }, 10);
}

function doneGeneratorUpdates({ phase, network, generatorUpdates }: UpdatePlan): number {
  return generatorUpdates + (phase === 'distill' && network === 'generator' ? 1 : 0);
}

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
function noise(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
