import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Dd2Error, parseRunSpec } from '@dd2/core';
import { create, HelloSchema } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { Dispatcher } from '../dispatcher.js';
import type { EvaluationRecord } from '../evaluate.js';
import { RunEvaluations } from '../run-evaluations.js';
import { RunFolder } from '../run-folder.js';
import { RunHistory, type RunState } from '../run-history.js';
import type { UpdateMetrics } from '../run-state.js';
import { parsePrometheusText, sampleOf, type ParsedFamily } from '../testing/prometheus-text.js';
import { temporaryFolder } from '../testing/temporary-folder.js';
import { Cluster } from './cluster.js';
import { Prometheus } from './prometheus.js';
import { RunActivity } from './run-activity.js';
import { WorkerActivity } from './worker-activity.js';

const spec = parseRunSpec(await readFile(join(import.meta.dirname, '../../../../configs/mnist.yaml'), 'utf8'));

function update(number: number, more: Partial<UpdateMetrics> = {}): UpdateMetrics {
  return {
    update: number, at: 1, phase: 'tune', network: 'generator', generatorUpdates: 0, samples: 16, committed: true, skippedUpdates: 0, skippedInARow: 0, version: 1, learningRate: 1e-3, gradientNorm: 2,
    losses: { loss: 1.5 }, workers: 1,
    timing: { wallMs: 100, computeMs: 60, transferMs: 20, reduceMs: 5, optimizeMs: 10, publishMs: 5, overhead: 0.4 },
    ...more,
  };
}

function record(at: number, fid: number): EvaluationRecord {
  return { update: at, generatorUpdates: 0, sampler: 'one-step', fid, samples: 50, classCounts: [5], accuracy: 1, noiseSeed: 1, featureNetworkSha256: 'a', referenceSha256: 'b', millisecondsPerImage: 1, seconds: 1 };
}

/** What a coordinator has, with runs that are made as they are wanted. */
async function observed() {
  const dataDir = await temporaryFolder();
  const runs: { history: RunHistory; evaluations: RunEvaluations }[] = [];
  const runActivity = new RunActivity();
  const workerActivity = new WorkerActivity();
  const cluster = new Cluster({ clusterId: 'c', epoch: 4n, maxRuns: 2, storeKind: 'redis' });
  const manager = {
    get runs() {
      return runs.map(({ history }) => history);
    },
    evaluationsOf: (runId: string): RunEvaluations => {
      const run = runs.find(({ history }) => history.identity.runId === runId);
      if (!run) throw new Error(`there is no ${runId}`);
      return run.evaluations;
    },
  };
  const prometheus = new Prometheus({ runs: manager, runActivity, workerActivity, dispatcher: new Dispatcher(), cluster });
  return {
    cluster,
    runActivity,
    workerActivity,
    prometheus,
    scrape: async (): Promise<Map<string, ParsedFamily>> => parsePrometheusText(await prometheus.metricsText()),
    add: async (runId: string, state: RunState, updatedAt = new Date()): Promise<{ history: RunHistory; evaluations: RunEvaluations }> => {
      const folder = new RunFolder(dataDir, runId);
      await folder.create();
      const history = new RunHistory({ runId, name: 'mnist', createdAt: updatedAt.toISOString() }, folder, spec, () => 0);
      history.state = state;
      history.updatedAt = updatedAt.toISOString();
      const run = { history, evaluations: await RunEvaluations.open(folder, spec) };
      runs.push(run);
      return run;
    },
  };
}

const runsIn = (families: Map<string, ParsedFamily>, name = 'dd2_run_info'): (string | undefined)[] => (families.get(name)?.samples ?? []).map(({ labels }) => labels['run']).sort();

describe('/metrics', () => {
  it('is well formed when nothing is there, and says so', async () => {
    const { scrape } = await observed();
    const families = await scrape();
    expect(sampleOf(families, 'dd2_workers_connected')).toBe(0);
    expect(sampleOf(families, 'dd2_runs', { state: 'running' })).toBe(0);
    expect(sampleOf(families, 'dd2_leases_total', { outcome: 'failed' })).toBe(0);
    expect(sampleOf(families, 'dd2_queue_store_up', { store: 'redis' })).toBe(0);
    expect(sampleOf(families, 'dd2_coordinator_epoch', { cluster: 'c' })).toBe(4);
    expect(sampleOf(families, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    const lag = sampleOf(families, 'nodejs_eventloop_lag_min_seconds');
    expect(lag).toBeGreaterThan(0);
    expect(lag).toBeLessThan(60);
    for (const { name, help } of families.values()) {
      expect(help.trim(), name).not.toBe('');
      expect(name).toMatch(/^(dd2|process|nodejs)_/);
    }
    // base units
    for (const name of families.keys()) expect(name).not.toMatch(/_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)/);
  });

  it('adds up updates by phase and network, and where their time went', async () => {
    const { add, runActivity, scrape } = await observed();
    await add('r', 'running');
    for (let n = 0; n < 4; n++) runActivity.updated('r', update(n));
    runActivity.updated('r', update(4, { committed: false, gradientNorm: NaN, losses: { loss: Infinity }, skippedUpdates: 3 }));
    runActivity.updated('r', update(5, { phase: 'distill', network: 'guidance', samples: 8, skippedUpdates: 3, losses: { loss: 7, gap: -1 }, timing: { wallMs: 50, computeMs: 55, transferMs: -5, reduceMs: 0, optimizeMs: NaN, publishMs: Infinity, overhead: 0 } }));
    runActivity.checkpointed('r', 0.3);
    runActivity.checkpointed('r', 400);
    const families = await scrape();
    const run = { run: 'r', name: 'mnist' };
    const tune = { ...run, phase: 'tune', network: 'generator' };
    expect(sampleOf(families, 'dd2_run_updates_total', { ...tune, outcome: 'committed' })).toBe(4);
    expect(sampleOf(families, 'dd2_run_updates_total', { ...tune, outcome: 'skipped' })).toBe(1);
    expect(sampleOf(families, 'dd2_run_samples_total', tune)).toBe(80);
    expect(sampleOf(families, 'dd2_run_update_seconds_total', { ...tune, part: 'compute' })).toBeCloseTo(0.3, 12);
    expect(sampleOf(families, 'dd2_run_update_seconds_total', { ...tune, part: 'publish' })).toBeCloseTo(0.025, 12);
    // counters never fall, whatever the clocks said
    const distill = { ...run, phase: 'distill', network: 'guidance' };
    expect(['compute', 'transfer', 'optimize', 'publish'].map((part) => sampleOf(families, 'dd2_run_update_seconds_total', { ...distill, part }))).toEqual([0.055, 0, 0, 0]);
    expect(sampleOf(families, 'dd2_run_loss', { ...run, network: 'generator', loss: 'loss' })).toBe(Infinity);
    expect(sampleOf(families, 'dd2_run_gradient_norm', { ...run, network: 'generator' })).toBeNaN();
    expect(sampleOf(families, 'dd2_run_loss', { ...run, network: 'guidance', loss: 'gap' })).toBe(-1);
    expect(sampleOf(families, 'dd2_run_skipped_updates', run)).toBe(3);
    expect(sampleOf(families, 'dd2_run_checkpoints_total', run)).toBe(2);
    expect(sampleOf(families, 'dd2_checkpoint_save_seconds_bucket', { le: '0.5' })).toBe(1);
    expect(sampleOf(families, 'dd2_checkpoint_save_seconds_bucket', { le: '300' })).toBe(1);
    expect(sampleOf(families, 'dd2_checkpoint_save_seconds_bucket', { le: '+Inf' })).toBe(2);
    expect(sampleOf(families, 'dd2_checkpoint_save_seconds_sum')).toBeCloseTo(400.3, 9);
  });

  it('says where a run stands as its history does', async () => {
    const { add, scrape, runActivity } = await observed();
    const { history, evaluations } = await add('r', 'running');
    history.progress(update(9, { phase: 'distill', generatorUpdates: 2 }));
    await evaluations.request({ id: '5', update: 5, sampler: 'one-step', samples: 50, noiseSeed: 1, purpose: 'periodic' });
    await evaluations.request({ id: '8', update: 8, sampler: 'one-step', samples: 50, noiseSeed: 1, purpose: 'periodic' });
    await evaluations.request({ id: '9', update: 9, sampler: 'one-step', samples: 50, noiseSeed: 1, purpose: 'periodic' });
    for (const [at, fid] of [[5, 20], [8, 30]] as const) await evaluations.complete(String(at), { record: record(at, fid) }, () => history.evaluated(record(at, fid), 'periodic'));
    runActivity.evaluated(2);
    runActivity.evaluated(3);
    runActivity.evaluationFailed();
    history.waitingFor = 'a worker';
    const families = await scrape();
    const run = { run: 'r', name: 'mnist' };
    const value = (name: string): number => sampleOf(families, name, run);
    expect(value('dd2_run_updates_done')).toBe(10);
    expect(value('dd2_run_updates_planned')).toBe(history.totalUpdates);
    expect(value('dd2_run_progress_ratio')).toBe(10 / history.totalUpdates);
    expect(value('dd2_run_generator_updates_done')).toBe(2);
    expect([value('dd2_run_fid'), value('dd2_run_fid_samples')]).toEqual([30, 50]);
    expect([value('dd2_run_best_fid'), value('dd2_run_best_fid_samples'), value('dd2_run_best_fid_update')]).toEqual([20, 50, 5]);
    expect(value('dd2_run_waiting')).toBe(1);
    expect(sampleOf(families, 'dd2_run_info', { ...run, state: 'running', phase: 'distill' })).toBe(1);
    expect(sampleOf(families, 'dd2_queue_jobs', { queue: 'runs', state: 'active' })).toBe(1);
    expect(sampleOf(families, 'dd2_queue_jobs', { queue: 'evaluations', state: 'waiting' })).toBe(1);
    expect(sampleOf(families, 'dd2_evaluations_total', { outcome: 'done' })).toBe(2);
    expect(sampleOf(families, 'dd2_evaluations_total', { outcome: 'failed' })).toBe(1);
    expect(sampleOf(families, 'dd2_evaluation_seconds_sum')).toBe(5);
    // of a run that nobody advances there is no rate, and without a measurement no FID
    await add('waits', 'queued');
    const again = await scrape();
    expect(runsIn(again, 'dd2_run_fid')).toEqual(['r']);
    expect(runsIn(again, 'dd2_run_updates_per_second')).toEqual([]);
    expect(runsIn(again, 'dd2_run_updates_done')).toEqual(['r', 'waits']);
  });

  it('drops the series of a run a day after its end, and what is remembered for them', async () => {
    const { add, runActivity, scrape } = await observed();
    const hours = (count: number): Date => new Date(Date.now() - count * 3_600_000);
    await add('long open', 'paused', hours(1_000));
    await add('ended', 'completed', hours(23));
    await add('forgotten', 'completed', hours(25));
    const running = await add('running', 'running');
    for (const run of ['ended', 'forgotten', 'running']) runActivity.updated(run, update(0));
    const families = await scrape();
    expect(runsIn(families)).toEqual(['ended', 'long open', 'running']);
    expect(runsIn(families, 'dd2_run_gradient_norm')).toEqual(['ended', 'running']);
    expect(sampleOf(families, 'dd2_runs', { state: 'completed' })).toBe(2);
    expect(runActivity.find('forgotten')).toBeUndefined();
    running.history.state = 'failed';
    running.history.updatedAt = hours(30).toISOString();
    expect(runsIn(await scrape(), 'dd2_run_updates_total').filter((run) => run === 'running')).toEqual([]);
  });

  it('is bounded, however many runs there are: those that are advanced come first', async () => {
    const { add, scrape } = await observed();
    for (let n = 0; n < 130; n++) await add(`paused-${n}`, 'paused', new Date(Date.now() - n * 1_000));
    await add('running', 'running', new Date(0));
    const shown = runsIn(await scrape());
    expect(shown).toHaveLength(100);
    expect(shown).toContain('running');
    expect(shown).toContain('paused-0');
    expect(shown).not.toContain('paused-129');
  });

  it('takes workers of one name together, whatever their names are', async () => {
    const { scrape, workerActivity } = await observed();
    const name = 'a"b\\c\nd{e="f"} 1';
    workerActivity.joined('1', create(HelloSchema, { name, provider: 'cpu' }));
    workerActivity.joined('2', create(HelloSchema, { name, provider: 'cpu' }));
    const families = await scrape();
    expect(families.get('dd2_worker_busy_ratio')?.samples.map(({ labels }) => labels)).toEqual([{ worker: name }]);
    expect(sampleOf(families, 'dd2_workers', { pool: '', provider: 'cpu', state: 'idle' })).toBe(2);
    workerActivity.left('1');
    workerActivity.left('2');
    expect((await scrape()).get('dd2_worker_leases_total')?.samples).toEqual([]);
  });

  it('answers those who ask at the same time with the same, and again afterwards', async () => {
    const { add, prometheus } = await observed();
    const [first, second] = await Promise.all([prometheus.metricsText(), prometheus.metricsText()]);
    expect(first).toBe(second);
    await add('r', 'running');
    expect(await prometheus.metricsText()).toContain('dd2_run_info{run="r"');
    expect(prometheus.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  it('has two coordinators in one process', async () => {
    const [a, b] = [await observed(), await observed()];
    a.runActivity.evaluated(1);
    expect(sampleOf(await a.scrape(), 'dd2_evaluation_seconds_count')).toBe(1);
    expect(sampleOf(await b.scrape(), 'dd2_evaluation_seconds_count')).toBe(0);
  });

  it('goes on after a scrape that failed', async () => {
    const { add, prometheus } = await observed();
    const { evaluations } = await add('r', 'running');
    Object.defineProperty(evaluations, 'running', { configurable: true, get: () => { throw new Dd2Error('INTERNAL', 'broken'); } });
    await expect(prometheus.metricsText()).rejects.toThrow('broken');
    Object.defineProperty(evaluations, 'running', { value: new Set() });
    expect(await prometheus.metricsText()).toContain('dd2_run_info');
  });
});

describe('the parser that the tests use', () => {
  it.each([
    ['a sample without HELP and TYPE', 'x 1\n'],
    ['that is unknown, or does not follow its HELP', '# TYPE x gauge\nx 1\n'],
    ['does not end with _total', '# HELP x y\n# TYPE x counter\nx 1\n'],
    ['its name ends with _total', '# HELP dd2_x_total y\n# TYPE dd2_x_total gauge\ndd2_x_total 1\n'],
    ['a sample that was there before', '# HELP x y\n# TYPE x gauge\nx{a="1",b="2"} 1\nx{b="2",a="1"} 2\n'],
    ['a family comes twice', '# HELP x y\n# TYPE x gauge\nx 1\n# HELP x y\n'],
    ['a sample that is not one of x', '# HELP x y\n# TYPE x gauge\ny 1\n'],
    ['labels that cannot be read', '# HELP x y\n# TYPE x gauge\nx{a="b"c"} 1\n'],
    ['cannot be read', '# HELP x y\n# TYPE x gauge\nx one\n'],
    ['a counter below 0', '# HELP x_total y\n# TYPE x_total counter\nx_total -1\n'],
    ['does not end with a line feed', '# HELP x y\n# TYPE x gauge\nx 1'],
  ])('refuses %s', (why, text) => expect(() => parsePrometheusText(text)).toThrow(why));
});
