import { RunState, type Run } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { classBalance, renderEvaluations } from './evaluation-table.js';
import { formatCount, formatDuration, formatFid, formatLoss } from './format.js';
import { LiveOutput } from './live-output.js';
import { describeRun, plainRun, renderRuns } from './run-table.js';
import { RunView, type ShownEvent } from './run-view.js';
import { renderTable } from './table.js';

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
  const run: Run = {
    $typeName: 'dd2.v1.Run',
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
  };

  it('show what they wait for, and where their best checkpoint is', () => {
    expect(renderRuns([run]).split('\n')[2]?.split(/ {2,}/)).toEqual(['mnist-1', 'queued', '-5', 'distill', '2,500/3,600', '9.50 (2,000)', '8.25 at 2,400', '2 of 3 workers']);
    expect(describeRun(run).split('\n')).toEqual([
      'run       mnist-1',
      'state     queued',
      'waits for 2 of 3 workers',
      'priority  -5',
      'phase     distill',
      'updates   2,500 of 3,600, 50 generator updates',
      'last FID  9.50 (2,000)',
      'best FID  8.25 at 2,400',
    ]);
    expect(plainRun(run)).toMatchObject({ state: 'queued', priority: -5, waitingFor: '2 of 3 workers', bestUpdate: 2_400 });
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
    generatorUpdates: 200,
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

describe('LiveOutput', () => {
  const screen = (isTTY: boolean) => {
    let text = '';
    let now = 0;
    const output = new LiveOutput({ isTTY, columns: 20, write: (part) => (text += part) }, () => now);
    return { output, text: () => text, wait: (ms: number) => (now += ms) };
  };

  it('replaces the status line below the lines that stay', () => {
    const { output, text } = screen(true);
    output.status('one');
    output.line('stays');
    output.status('two');
    output.clear();
    expect(text()).toBe('one\r\x1b[2Kstays\none\r\x1b[2Ktwo\r\x1b[2K');
  });

  it('cuts a status that would wrap', () => {
    const { output, text } = screen(true);
    output.status('x'.repeat(50));
    expect(text()).toBe('x'.repeat(19));
  });

  it('prints a status every few seconds where there is no terminal', () => {
    const { output, text, wait } = screen(false);
    output.status('one');
    wait(4_000);
    output.status('two');
    wait(1_000);
    output.status('three');
    output.clear();
    expect(text()).toBe('one\nthree\n');
  });
});
