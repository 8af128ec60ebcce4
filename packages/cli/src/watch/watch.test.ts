import { create, EvaluationSchema, EvaluationState, FidPointSchema, RunEventSchema, RunSchema, RunState, type RunEvent } from '@dd2/proto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RunClient } from '../run-client.js';
import { widthOf } from '../render/text.js';
import { plain } from '../render/terminal.js';
import { watchRun } from './watch-run.js';
import { WatchView } from './watch-view.js';

afterEach(() => {
  process.exitCode = undefined;
  vi.unstubAllEnvs();
});

const evaluation = (update: number, fid: number, values: object = {}) =>
  create(EvaluationSchema, { runId: 'mnist-1', evaluationId: String(update), state: EvaluationState.COMPLETED, update, sampler: 'one-step', fid, samples: 2_000, ...values });
const run = (values: object = {}) => create(RunSchema, { runId: 'mnist-1', state: RunState.RUNNING, phase: 'distill', update: 100, totalUpdates: 200, lastFid: 9, fidSamples: 2_000, bestFid: 8.5, bestUpdate: 80, ...values });
const event = (sequence: number, values: object = {}): RunEvent =>
  create(RunEventSchema, { sequence: BigInt(sequence), state: RunState.RUNNING, phase: 'distill', update: 100, totalUpdates: 200, kind: 'progress', workers: 2, cyclePosition: 2, cycleLength: 6, cycleGuidance: 5, network: 'guidance', updatesPerSecond: 7.3, etaSeconds: 14, metrics: { loss: 0.5 }, ...values });
const screen = { columns: 80, rows: 30, unicode: true, paint: plain };

describe('WatchView', () => {
  const curve = [evaluation(20, 40), evaluation(60, 12), evaluation(100, 9), evaluation(100, 9.87, { evaluationId: 'teacher-1', sampler: 'teacher', samples: 5_000 }), evaluation(120, 0, { state: EvaluationState.RUNNING })];

  it('shows where the run is, the declared cycle, and the curve with its teacher', () => {
    const view = new WatchView(run(), curve);
    view.take(event(5));
    const lines = view.status(screen).split('\n');
    expect(lines.slice(0, 4)).toEqual([
      'mnist-1  running  distill  100/200  ████████████░░░░░░░░░░░░  50 %',
      '5 x guidance then 1 x generator, now 3 of 6 (guidance)  loss 0.5000',
      '7.3 updates/s  14 s left  2 workers',
      'last FID 9.00 (2,000)  best 8.50 at 80',
    ]);
    expect(lines[4]).toContain('━━ FID of 2,000 samples   ┄┄ teacher 9.87 (5,000)');
    expect(lines.length).toBeGreaterThan(12);
    for (const line of lines) expect(widthOf(line)).toBeLessThan(80);
  });

  it('gives up the curve before the rest where the terminal is small', () => {
    const view = new WatchView(run(), curve);
    view.take(event(5));
    expect(view.status({ ...screen, rows: 12 }).split('\n')).toHaveLength(4);
  });

  it('says what a run waits for, and nothing about workers before an event has told', () => {
    const lines = new WatchView(run({ state: RunState.QUEUED, waitingFor: 'a worker\u001b[2J' }), []).status(screen).split('\n');
    expect(lines.at(-1)).toBe('waits for a worker?[2J');
    expect(lines.join('\n')).not.toMatch(/workers|undefined|NaN/);
  });

  it('takes the points of the run where the evaluations are not there', () => {
    const points = [create(FidPointSchema, { update: 20, fid: 40 }), create(FidPointSchema, { update: 60, fid: 12 })];
    expect(new WatchView(run({ fidCurve: points }), []).curve(screen)[0]).toContain('FID');
    expect(new WatchView(run({ fidCurve: points.slice(0, 1) }), []).curve(screen)).toEqual([]);
  });
});

/** Answers of a coordinator; what it is asked is counted. */
function fakeClient(events: readonly RunEvent[], ended: object, evaluations = [evaluation(20, 40), evaluation(60, 12)]) {
  const asked: string[] = [];
  const client = {
    getRun: async () => (asked.push('getRun'), { run: run(ended) }),
    listEvaluations: async () => (asked.push('listEvaluations'), { evaluations }),
    listRunEvents: async () => (asked.push('listRunEvents'), { events: [] }),
    watchRun: async function* () {
      for (const one of events) yield { event: one };
    },
  };
  return { client: client as unknown as RunClient, asked };
}

function fakeTerminal(isTTY: boolean) {
  let text = '';
  return { terminal: { isTTY, columns: 80, rows: 40, hasColors: () => true, write: (part: string) => (text += part) }, text: () => text };
}

const history = [event(1, { kind: 'started', message: 'the run starts' }), event(2), event(3, { kind: 'evaluation', message: 'FID 12.00', fid: 12, fidUpdate: 60 }), event(4), event(5, { kind: 'completed', message: 'all updates are done', state: RunState.COMPLETED, update: 200 })];

describe('watchRun', () => {
  it('prints a line per event and the curve at the end where there is no terminal', async () => {
    const { terminal, text } = fakeTerminal(false);
    const { client, asked } = fakeClient(history, { state: RunState.COMPLETED, update: 200 });
    await watchRun(client, 'mnist-1', { json: false, terminal });
    expect(text()).not.toContain('\u001b');
    expect(text().match(/the run starts|FID 12\.00|all updates are done/g)).toEqual(['the run starts', 'FID 12.00', 'all updates are done']);
    expect(text()).toMatch(/FID of 2,000 samples[^]*┤[^]*done after 200 of 200 updates, FID 9\.00 \(2,000\)\n$/);
    // A history of any length is not asked about event by event.
    expect(asked.filter((what) => what === 'listEvaluations')).toHaveLength(2);
  });

  it('redraws on a terminal, and looks for a new point when one was measured', async () => {
    const { terminal, text } = fakeTerminal(true);
    const { client, asked } = fakeClient(history, { state: RunState.COMPLETED, update: 200 });
    await watchRun(client, 'mnist-1', { json: false, terminal });
    expect(text()).toContain('\u001b[32mrunning\u001b[39m');
    expect(text()).toContain('now 3 of 6 (guidance)');
    expect(asked.filter((what) => what === 'listEvaluations')).toHaveLength(3);
    expect(text().slice(text().lastIndexOf('\u001b[J'))).toMatch(/done after 200 of 200 updates/);
  });

  it('is lines of JSON for programs', async () => {
    const { terminal, text } = fakeTerminal(false);
    const { client } = fakeClient(history, { state: RunState.COMPLETED });
    await watchRun(client, 'mnist-1', { json: true, terminal });
    const lines = text().trim().split('\n').map((line) => JSON.parse(line) as { event?: { sequence: number; state: string }; run?: { state: string } });
    expect(lines.map(({ event: one }) => one?.sequence)).toEqual([1, 2, 3, 4, 5, undefined]);
    expect(lines.at(-1)?.run?.state).toBe('completed');
  });

  it('throws what the run failed with, after showing it', async () => {
    const { terminal, text } = fakeTerminal(false);
    const { client } = fakeClient([event(1, { kind: 'failed', message: 'the disk is gone', state: RunState.FAILED })], { state: RunState.FAILED, error: { code: 'CHECKPOINT_CORRUPT', message: 'the disk is gone', field: '', remedy: '' } });
    await expect(watchRun(client, 'mnist-1', { json: false, terminal })).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT', details: { run: 'mnist-1', ended: 'failed' } });
    expect(text()).toContain('failed after 100 of 200 updates');
  });

  it('stops at an interrupt, and leaves the run alone', async () => {
    const { terminal, text } = fakeTerminal(false);
    const { client } = fakeClient([], {});
    const endless = {
      ...client,
      watchRun: (_request: unknown, { signal }: { signal: AbortSignal }) =>
        (async function* () {
          yield { event: event(1, { message: 'the run starts' }) };
          process.emit('SIGINT');
          if (signal.aborted) throw new Error('cancelled');
        })(),
    } as unknown as RunClient;
    await watchRun(endless, 'mnist-1', { json: false, terminal });
    expect(process.exitCode).toBe(130);
    expect(text()).toMatch(/no longer watching; the run goes on: `dd2 run watch mnist-1`\n$/);
    expect(process.listenerCount('SIGINT')).toBe(0);
  });
});
