import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePrometheusText, sampleOf, type ParsedFamily } from '../packages/coordinator/src/testing/prometheus-text.js';
import { Cluster } from './support/cluster.js';
import { eventually, metricsOf, root, temporaryFolder } from './support/processes.js';

const settings = {
  'phases.tune': '{ updates: 5, batch: 16, microBatches: 4, draws: 2, time: { min: 0.02 }, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.regress': '{ pairs: 300, odeSteps: 3, updates: 5, batch: 16, microBatches: 4, optimizer: { learningRate: 1.0e-3 }, ema: 0.9 }',
  'phases.distill.align': '3',
  'phases.distill.generatorUpdates': '4',
  'phases.distill.guidance.microBatches': '4',
  'phases.distill.guidance.batch': '16',
  'phases.distill.generator.microBatches': '4',
  'phases.distill.generator.batch': '16',
  'evaluation.everyGeneratorUpdates': '2',
  'evaluation.samples': '2000',
  'evaluation.finalSamples': '500',
  'checkpoint.everyUpdates': '5',
};
const TOTAL = 5 + 5 + 3 + 4 * 4;

interface UpdateLine {
  readonly phase: string;
  readonly network: string;
  readonly samples: number;
  readonly gradientNorm: number;
  readonly losses: Record<string, number>;
  readonly timing: Record<string, number>;
}
interface Evaluation {
  readonly evaluationId: string;
  readonly update: number;
  readonly fid: number;
  readonly fidStandardError?: number;
  readonly samples: number;
}
interface Worker {
  readonly name: string;
  readonly device: string;
  readonly state: string;
  readonly leases: readonly { readonly runId: string; readonly program: string; readonly heldSeconds: number; readonly microBatches: number }[];
  readonly leasesDone: string;
  readonly leasesFailed: string;
  readonly busy: number;
  readonly microBatchesPerSecond: number;
}

/** A real run on two real workers, looked at from outside. */
describe('what a coordinator tells monitoring', { timeout: 240_000 }, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let cluster: Cluster;
  let url: string;
  let runId: string;
  /** the text while the run was at work, and after it */
  let families: Map<string, ParsedFamily>;
  let after: Map<string, ParsedFamily>;
  /** a worker with a lease */
  let busy: Worker | undefined;

  const get = async (path: string, token: 'api' | 'metrics'): Promise<Response> =>
    fetch(url + path, { headers: { authorization: `Bearer ${(await readFile(join(folder.path, 'tokens', token), 'utf8')).trim()}` } });
  const scrape = async (): Promise<Map<string, ParsedFamily>> => parsePrometheusText(await (await get('/metrics', 'metrics')).text());
  const api = async <T>(path: string): Promise<T> => (await get(`/api/v1${path}`, 'api')).json() as Promise<T>;
  const workers = async (): Promise<readonly Worker[]> => (await api<{ workers: Worker[] }>('/workers')).workers;

  beforeAll(async () => {
    folder = await temporaryFolder();
    cluster = await Cluster.start({ dataDir: folder.path, workers: 2, coordinatorOptions: ['--http-port', '0'] });
    url = (await cluster.coordinator.until(/page at (\S+)/))[1] ?? '';
    runId = await cluster.run('submit', join(root, 'configs/mnist.yaml'), ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]));
    busy = await eventually(async () => (await workers()).find(({ leases }) => leases.length > 0));
    families = await eventually(async () => {
      const now = await scrape();
      return ['dd2_run_eta_seconds', 'dd2_run_best_fid', 'dd2_run_fid'].every((name) => now.get(name)?.samples.length) ? now : undefined;
    });
    expect(await cluster.ended(runId)).toBe('completed');
    after = await scrape();
  }, 240_000);

  afterAll(async () => {
    await cluster.dispose();
    await folder.dispose();
  });

  it('agrees with the run and with every line of its metrics', async () => {
    const { run } = await api<{ run: { name: string; update: number; totalUpdates: number; generatorUpdates: number; lastFid: number; fidSamples: number; bestFid: number; bestUpdate: number } }>(`/runs/${runId}`);
    const labels = { run: runId, name: run.name };
    const value = (name: string, more: Record<string, string> = {}): number => sampleOf(after, name, { ...labels, ...more });
    expect([value('dd2_run_updates_done'), value('dd2_run_updates_planned'), value('dd2_run_progress_ratio')]).toEqual([run.update, run.totalUpdates, 1]);
    expect([run.update, value('dd2_run_generator_updates_done')]).toEqual([TOTAL, run.generatorUpdates]);
    expect([value('dd2_run_fid'), value('dd2_run_fid_samples')]).toEqual([run.lastFid, run.fidSamples]);
    expect([value('dd2_run_best_fid'), value('dd2_run_best_fid_update')]).toEqual([run.bestFid, run.bestUpdate]);
    expect(sampleOf(after, 'dd2_runs', { state: 'completed' })).toBe(1);
    expect(value('dd2_run_info', { state: 'completed', phase: 'distill' })).toBe(1);

    const lines = (await metricsOf(folder.path, runId)) as unknown as UpdateLine[];
    const groups = new Map<string, UpdateLine[]>();
    for (const line of lines) groups.set(`${line.phase} ${line.network}`, [...(groups.get(`${line.phase} ${line.network}`) ?? []), line]);
    expect([...groups.keys()].sort()).toEqual(['align guidance', 'distill generator', 'distill guidance', 'regress generator', 'tune generator']);
    const sum = (group: readonly UpdateLine[], of: (line: UpdateLine) => number): number => group.reduce((total, line) => total + of(line), 0);
    for (const [key, group] of groups) {
      const [phase = '', network = ''] = key.split(' ');
      const which = { phase, network };
      expect(value('dd2_run_updates_total', { ...which, outcome: 'committed' })).toBe(group.length);
      expect(value('dd2_run_updates_total', { ...which, outcome: 'skipped' })).toBe(0);
      expect(value('dd2_run_samples_total', which)).toBe(sum(group, ({ samples }) => samples));
      for (const part of ['compute', 'transfer', 'reduce', 'optimize', 'publish']) {
        expect(value('dd2_run_update_seconds_total', { ...which, part })).toBeCloseTo(sum(group, ({ timing }) => Math.max(0, timing[`${part}Ms`] ?? NaN)) / 1_000, 9);
      }
    }
    for (const network of ['guidance', 'generator']) {
      const last = lines.filter((line) => line.network === network).at(-1);
      expect(value('dd2_run_gradient_norm', { network })).toBe(last?.gradientNorm);
      for (const [loss, found] of Object.entries(last?.losses ?? {})) expect(value('dd2_run_loss', { network, loss })).toBe(found);
    }
    expect(value('dd2_run_checkpoints_total')).toBe(sampleOf(after, 'dd2_checkpoint_save_seconds_count'));
    expect(value('dd2_run_checkpoints_total')).toBeGreaterThan(2);
  });

  it('counts the micro-batches that the workers did: those of every update are among them', async () => {
    const done = after.get('dd2_worker_micro_batches_total')?.samples ?? [];
    expect(done).toHaveLength(2);
    const all = sampleOf(after, 'dd2_micro_batches_total');
    expect(done.reduce((total, { value }) => total + value, 0)).toBe(all);
    const evaluations = (await api<{ evaluations: Evaluation[] }>(`/runs/${runId}/evaluations`)).evaluations;
    const ofEvaluations = evaluations.reduce((total, { samples }) => total + samples / 250, 0);
    expect(all).toBeGreaterThanOrEqual(4 * TOTAL + ofEvaluations);
    expect(sampleOf(after, 'dd2_evaluations_total', { outcome: 'done' })).toBe(evaluations.length);
    expect(sampleOf(after, 'dd2_leases_total', { outcome: 'failed' })).toBe(0);
    const listed = await workers();
    for (const { name, leasesDone, leasesFailed } of listed) {
      expect(sampleOf(after, 'dd2_worker_leases_total', { worker: name, outcome: 'done' })).toBe(Number(leasesDone));
      expect(leasesFailed).toBe('0');
    }
  });

  it('lists workers with what they hold', async () => {
    const [lease] = busy?.leases ?? [];
    expect(lease?.runId).toBe(runId);
    expect(lease?.program).toMatch(/^[a-z]/);
    expect(lease?.microBatches).toBeGreaterThan(0);
    expect(lease?.heldSeconds).toBeLessThan(240);
    expect(busy?.state).toBe('WORKER_STATE_BUSY');
    expect(busy?.device).not.toBe('');
    for (const worker of await workers()) {
      expect(worker).toMatchObject({ state: 'WORKER_STATE_IDLE', leases: [] });
      expect(worker.busy).toBeLessThanOrEqual(1);
    }
    expect((await workers()).some(({ busy: share, microBatchesPerSecond }) => share > 0 && microBatchesPerSecond > 0)).toBe(true);
  });

  it('gives FID a standard error where there are enough samples to tell', async () => {
    const { evaluations } = await api<{ evaluations: Evaluation[] }>(`/runs/${runId}/evaluations`);
    for (const { evaluationId, fid, fidStandardError, samples } of evaluations) {
      const stored = JSON.parse(await readFile(join(folder.path, 'runs', runId, 'evaluations', `${evaluationId}.json`), 'utf8')) as Evaluation;
      expect(stored.fidStandardError).toBe(fidStandardError);
      if (samples < 1_000) expect(fidStandardError).toBeUndefined();
      else {
        expect(fidStandardError).toBeGreaterThan(0);
        expect(fidStandardError).toBeLessThan(fid / 4);
      }
    }
    expect(evaluations.map(({ fidStandardError }) => fidStandardError === undefined)).toContain(true);
    expect(evaluations.map(({ fidStandardError }) => fidStandardError === undefined)).toContain(false);
  });

  it('lets nobody in without a token', async () => {
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    expect((await get('/api/v1/workers', 'metrics')).status).toBe(401);
  });

  describe('infra/grafana/dd2.json', () => {
    interface Panel {
      readonly id: number;
      readonly type: string;
      readonly title: string;
      readonly description?: string;
      readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
      readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
      readonly datasource?: { readonly uid: string };
      readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string; readonly datasource: { readonly uid: string } }[];
    }
    let board: { readonly uid: string; readonly schemaVersion: number; readonly panels: readonly Panel[]; readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly query: unknown }[] } };
    let panels: readonly Panel[];
    beforeAll(async () => {
      board = JSON.parse(await readFile(join(root, 'infra/grafana/dd2.json'), 'utf8')) as typeof board;
      panels = board.panels.filter(({ type }) => type !== 'row');
    });

    /** Names of metrics in a query, and of the labels that it selects or groups by. */
    function namesIn(expr: string): { metrics: string[]; labels: string[] } {
      const labels: string[] = [];
      const rest = expr
        .replace(/"(?:[^"\\]|\\.)*"/g, '""')
        .replace(/\{([^}]*)\}/g, (_, matchers: string) => {
          for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) labels.push(label);
          return ' ';
        })
        .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g, (_, list: string) => {
          labels.push(...list.split(',').map((label) => label.trim()).filter((label) => label !== ''));
          return ' ';
        })
        .replace(/\[[^\]]*\]/g, ' ');
      const metrics = [...rest.matchAll(/[a-zA-Z_:][\w:]*/g)].filter(({ 0: word, index }) => !/^\s*\(/.test(rest.slice(index + word.length)) && !['and', 'or', 'unless', 'sum', 'min', 'max'].includes(word));
      return { metrics: metrics.map(({ 0: word }) => word), labels };
    }

    it('asks for metrics and labels that exist while a run is at work', () => {
      const asked = new Set<string>();
      for (const { title, targets = [] } of panels) {
        for (const { expr, legendFormat } of targets) {
          const { metrics, labels } = namesIn(expr);
          expect(metrics, `${title}: ${expr}`).not.toEqual([]);
          const known = new Set(['instance', 'le']); // of Prometheus itself, and of histograms
          for (const name of metrics) {
            const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
            expect(family, `${title}: ${name}`).toBeDefined();
            if (family?.name !== name) expect(family?.type).toBe('histogram');
            expect(family?.samples.length, `${title}: ${name} has no sample`).toBeGreaterThan(0);
            for (const label of family?.samples.flatMap((sample) => Object.keys(sample.labels)) ?? []) known.add(label);
            asked.add(name);
          }
          for (const label of [...labels, ...[...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)]) expect([...known], `${title}: ${expr} ${legendFormat}`).toContain(label);
        }
      }
      expect(asked.size).toBeGreaterThan(25);
      expect(board.templating.list.map(({ name, type }) => [name, type])).toEqual([['datasource', 'datasource'], ['run', 'query']]);
      expect(JSON.stringify(board.templating.list[1]?.query)).toContain('label_values(dd2_run_info, run)');
    });

    it('has panels that say what they are, in which unit, from the chosen data source', () => {
      expect(board.schemaVersion).toBeGreaterThanOrEqual(39);
      expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
      expect(new Set(board.panels.map(({ title }) => title)).size).toBe(board.panels.length);
      for (const panel of panels) {
        expect(panel.title).not.toBe('');
        expect(panel.description, panel.title).toMatch(/\.$/);
        expect(panel.fieldConfig?.defaults.unit, panel.title).toMatch(/^[a-z]+$/);
        expect(panel.datasource?.uid).toBe('${datasource}');
        expect(panel.targets?.length).toBeGreaterThan(0);
        expect(new Set(panel.targets?.map(({ refId }) => refId)).size).toBe(panel.targets?.length);
        for (const { datasource } of panel.targets ?? []) expect(datasource.uid).toBe('${datasource}');
      }
    });

    it('has no panels that overlap or stick out', () => {
      for (const [index, { gridPos: a, title }] of board.panels.entries()) {
        expect(a.x >= 0 && a.w > 0 && a.h > 0 && a.x + a.w <= 24, title).toBe(true);
        for (const { gridPos: b, title: other } of board.panels.slice(index + 1)) {
          const overlap = a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
          expect(overlap, `${title} and ${other}`).toBe(false);
        }
      }
    });
  });
});
