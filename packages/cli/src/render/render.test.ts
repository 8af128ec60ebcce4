import { CheckpointSchema, create, ErrorDetailSchema, FidPointSchema, RunSchema, RunState, timestampFromDate, WorkerSchema, WorkerState } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { classBalance, renderEvaluations } from './evaluation-table.js';
import { formatCount, formatDuration, formatFid, formatLoss } from './format.js';
import { selectRuns } from '../commands/run-list.js';
import { cycleInFull } from './cycle.js';
import { plainRun, plainWorker } from './plain.js';
import { describeRun } from './run-details.js';
import { renderRuns } from './run-table.js';
import { RunView, type ShownEvent } from './run-view.js';
import { renderTable } from './table.js';
import { widthOf } from './text.js';
import { renderWorkers } from './worker-table.js';

describe('format', () => {
  it('groups thousands', () => {
    expect([0, 999, 1_000, 60_000, 1_234_567].map(formatCount)).toEqual(['0', '999', '1,000', '60,000', '1,234,567']);
  });

  it('writes durations as people say them', () => {
    expect([0, 42.4, 59.6, 200, 7_500].map(formatDuration)).toEqual(['0 s', '42 s', '1 min 00 s', '3 min 20 s', '2 h 05 min']);
  });

  it('keeps four digits of a loss', () => {
    expect([0.123456, 12.3456, 0, -0.214512, 1e-5, NaN].map(formatLoss)).toEqual(['0.1235', '12.35', '0.000', '-0.2145', '1.00e-5', 'NaN']);
  });

  it('never shows an FID without its samples', () => {
    expect(formatFid(8.536, 5_000)).toBe('8.54 (5,000)');
  });
});

describe('renderTable', () => {
  it('aligns columns by their widest cell', () => {
    const table = renderTable([{ title: 'name' }, { title: 'n', align: 'right' }], [['a', '1'], ['longer', '1,000']]);
    expect(table.split('\n')).toEqual(['name        n', '------  -----', 'a           1', 'longer  1,000']);
  });
});

describe('renderEvaluations', () => {
  const evaluation = { sampler: 'one-step', fid: 6.123, accuracy: 0.9612, samples: 5_000, classCounts: Array.from({ length: 10 }, () => 500), noiseSeed: 124n, millisecondsPerImage: 0.456 };

  it('shows everything that decides about a figure', () => {
    const row = renderEvaluations([evaluation]).split('\n')[2];
    expect(row?.split(/ {2,}/)).toEqual(['one-step', '6.12', '0.961', '5,000', '500', '124', '0.46']);
  });

  it('has no noise seed for reconstructions', () => {
    expect(renderEvaluations([{ ...evaluation, sampler: 'reconstruction' }]).split('\n')[2]).toMatch(/ 500 +- +0\.46$/);
  });

  it('shows the range of unequal classes', () => {
    expect(classBalance([980, 1_135, 892])).toBe('892-1,135');
  });
});

describe('runs', () => {
  const run = create(RunSchema, {
    runId: 'mnist-1',
    name: 'mnist',
    state: RunState.QUEUED,
    phase: 'distill',
    update: 2_500,
    totalUpdates: 3_600,
    generatorUpdates: 50,
    lastFid: 9.5,
    bestFid: 8.25,
    bestUpdate: 2_400,
    fidSamples: 2_000,
    priority: -5,
    waitingFor: '2 of 3 workers',
  });

  const rowOf = (text: string, line = 2): string[] => text.split('\n')[line]?.split(/ {2,}/) ?? [];

  it('show what they wait for, and where their best checkpoint is', () => {
    expect(rowOf(renderRuns([run]))).toEqual(['mnist-1', 'queued', '-5', 'distill', '2,500/3,600', '9.50 (2,000)', '8.25 at 2,400', '2 of 3 workers']);
    expect(describeRun(run).split('\n')).toEqual([
      'run        mnist-1',
      'name       mnist',
      'state      queued',
      'waits for  2 of 3 workers',
      'priority   -5',
      'phase      distill',
      'updates    2,500 of 3,600 (69 %), 50 generator updates',
      'last FID   9.50 (2,000)',
      'best FID   8.25 at 2,400',
    ]);
    expect(JSON.parse(JSON.stringify(plainRun(run)))).toMatchObject({ state: 'queued', priority: -5, waitingFor: '2 of 3 workers', bestUpdate: 2_400 });
  });

  const running = create(RunSchema, {
    ...run,
    fidCurve: [
      [800, 400],
      [2_400, 8.25],
    ].map(([update = 0, fid = 0]) => create(FidPointSchema, { update, fid })),
    state: RunState.RUNNING,
    waitingFor: '',
    priority: 0,
    network: 'guidance',
    cyclePosition: 2,
    cycleLength: 6,
    cycleGuidance: 5,
    updatesPerSecond: 7.31,
    etaSeconds: 150,
  });

  it('show the declared cycle in full, and how long it will take', () => {
    expect(describeRun(running).split('\n')).toEqual(expect.arrayContaining(['cycle      5 x guidance then 1 x generator, now 3 of 6 (guidance)', 'rate       7.3 updates/s', 'left       2 min 30 s']));
    expect(cycleInFull({ ...running, cyclePosition: 5 })).toBe('5 x guidance then 1 x generator, now 6 of 6 (generator)');
    expect(cycleInFull({ ...running, cyclePosition: 1, cycleGuidance: 0, cycleLength: 2 })).toBe('2 x generator, now 2 of 2 (generator)');
    expect(cycleInFull({ ...running, cycleLength: 0 })).toBe('');
    expect(rowOf(renderRuns([running]))).toEqual(['mnist-1', 'running', 'distill', '2,500/3,600', 'guidance 3/5 of 5:1', '2 min 30 s', '9.50 (2,000)', '8.25 at 2,400', '█▁']);
    expect(renderRuns([running], { unicode: false })).not.toContain('█');
  });

  it('tell when the newest checkpoint was written, how large it is, and how to go on', () => {
    const at = create(CheckpointSchema, { update: 2_400, files: [{ bytes: 11_000_000n }, { bytes: 200_000n }] });
    const lines = describeRun({ ...running, state: RunState.FAILED, error: create(ErrorDetailSchema, { code: 'NON_FINITE', message: 'the loss\nis \u001b[31mNaN' }) }, { checkpoints: [at, at] }).split('\n');
    expect(lines).toEqual(expect.arrayContaining(['checkpoint update 2,400 (11.2 MB), 1 other', 'error      NON_FINITE: the loss is ?[31mNaN']));
    expect(lines.at(-1)).toContain('dd2 run resume mnist-1');
  });

  it('fit the terminal: what matters least goes first, and nothing wraps', () => {
    const wide = renderRuns([running, run]);
    for (const width of [120, 80, 60, 40]) {
      const lines = renderRuns([running, run], { width }).split('\n');
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
      expect(lines[0]).toMatch(/^run .*state .*updates/);
    }
    expect(renderRuns([running, run], { width: 200 })).toBe(wide);
    expect(renderRuns([running, run], { width: 80 }).split('\n')[0]).not.toMatch(/priority|cycle|FID .*FID .*FID/);
  });

  it('are found by name and put in order; those without a value come last', () => {
    const of = (runId: string, bestFid?: number) => create(RunSchema, { runId, name: 'Mnist', totalUpdates: 10, ...(bestFid === undefined ? {} : { bestFid }) });
    const runs = [of('c'), of('b', 9), of('a', 7)];
    const select = (selection: Partial<Parameters<typeof selectRuns>[1]>) => selectRuns(runs, { sort: 'newest', reverse: false, ...selection }).map(({ runId }) => runId);
    expect(select({})).toEqual(['c', 'b', 'a']);
    expect(select({ sort: 'fid' })).toEqual(['a', 'b', 'c']);
    expect(select({ sort: 'name', reverse: true, limit: 2 })).toEqual(['c', 'b']);
    expect(select({ name: 'MNIST' })).toHaveLength(3);
    expect(select({ name: 'x' })).toEqual([]);
    expect(runs.map(({ runId }) => runId)).toEqual(['c', 'b', 'a']);
  });
});

describe('workers', () => {
  const now = new Date('2026-11-23T20:00:10Z');
  const worker = create(WorkerSchema, {
    name: 'node-1',
    host: 'node-1.local',
    processId: 4711,
    provider: 'cuda',
    intraOpThreads: 1,
    state: WorkerState.BUSY,
    busy: 0.876,
    microBatchesPerSecond: 12.34,
    leasesDone: 1_234n,
    straggled: 2n,
    lastHeardAt: timestampFromDate(new Date('2026-11-23T20:00:08Z')),
    leases: [{ runId: 'mnist-1', update: 812, microBatches: 4, heldSeconds: 3, backup: true }],
  });

  it('show device, rate, leases, when they were heard by the clock of the coordinator, and that they straggle', () => {
    const [titles, , row] = renderWorkers([worker], now).split('\n');
    expect(titles?.split(/ {2,}/)).toEqual(['worker', 'state', 'device', 'host', 'busy', 'micro-batches/s', 'leases', 'straggled', 'heard', 'works on']);
    expect(row?.trim().split(/ {2,}/)).toEqual(['node-1', 'busy', 'cuda x 1', 'node-1.local:4711', '88 %', '12.3', '1,234', '2', '2 s ago', 'mnist-1 update 812 (4 micro-batches, 3 s, backup)']);
    for (const line of renderWorkers([worker], now, { width: 60 }).split('\n')) expect(widthOf(line)).toBeLessThanOrEqual(60);
  });

  it('say until when they are put aside, and are JSON', () => {
    const aside = { ...worker, state: WorkerState.PUT_ASIDE, asideUntil: timestampFromDate(new Date('2026-11-23T20:00:40Z')) };
    expect(renderWorkers([aside], now)).toContain('put-aside for 30 s');
    expect(JSON.parse(JSON.stringify(plainWorker(aside)))).toMatchObject({ name: 'node-1', state: 'put-aside', asideUntil: '2026-11-23T20:00:40.000Z', leasesDone: 1_234, straggled: 2, leases: [{ runId: 'mnist-1', update: 812, backup: true }] });
  });
});

describe('RunView', () => {
  const event: ShownEvent = {
    phase: 'distill',
    update: 1_234,
    totalUpdates: 4_300,
    cyclePosition: 1,
    cycleLength: 4,
    cycleGuidance: 3,
    fidSamples: 0,
    updatesPerSecond: 7.31,
    etaSeconds: 419,
    message: '',
    metrics: { loss: 0.35712 },
    workers: 2,
    network: 'guidance',
  };

  it('shows the position in the declared cycle', () => {
    const view = new RunView();
    expect(view.take(event)).toEqual({ lines: [], status: 'distill  1,234/4,300  guidance 2/3 of 3:1  loss 0.3571  7.3 updates/s  6 min 59 s left  2 workers' });
    expect(view.take({ ...event, cyclePosition: 3, network: 'generator' }).status).toContain('  generator 1/1 of 3:1  ');
  });

  it('names the network outside the cycle, and one worker', () => {
    expect(new RunView().take({ ...event, phase: 'tune', cycleLength: 0, network: 'generator', workers: 1 }).status).toMatch(/^tune {2}1,234\/4,300 {2}generator .* 1 worker$/);
  });

  it('keeps the last FID in the status', () => {
    const view = new RunView();
    expect(view.take({ ...event, fid: 9.1234, fidSamples: 2_000, message: 'measured' }).lines).toEqual(['measured']);
    expect(view.take(event).status).toContain('  FID 9.12 (2,000)  ');
  });
});
