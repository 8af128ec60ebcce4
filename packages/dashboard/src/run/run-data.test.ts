import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/api-error.js';
import type { Evaluation, Run } from '../api/messages.js';
import { RunData, type RunSource } from './run-data.js';

const run = (values: Partial<Run> = {}): Run => ({
  runId: 'a', name: 'mnist', state: 'RUN_STATE_RUNNING', phase: 'distill', update: 10, totalUpdates: 100, generatorUpdates: 2, createdAt: '', updatedAt: '1', priority: 0,
  waitingFor: '', network: 'generator', cyclePosition: 0, cycleLength: 6, cycleGuidance: 5, fidCurve: [], fidSamples: 0, ...values,
});
const evaluation = (update: number): Evaluation => ({
  runId: 'a', update, sampler: 'one-step', fid: 10, samples: 2000, seconds: 1, millisecondsPerImage: 1, classCounts: [], noiseSeed: '1', evaluationId: String(update),
  state: 'EVALUATION_STATE_COMPLETED', generatorUpdates: 1, featureNetworkSha256: 'f', referenceSha256: 'r', hasGrid: true,
});
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A coordinator whose answers the test decides about. */
class FakeSource implements RunSource {
  evaluations: readonly Evaluation[] = [];
  readonly watchers = new Set<(run: Run) => void>();
  getRun = vi.fn(async () => run());
  listEvaluations = vi.fn(async () => this.evaluations);
  getPositions = vi.fn(async (_runId: string, updates: readonly number[]) => updates.map((update) => ({ update, generatorUpdates: 1, samples: update * 100, wallSeconds: update / 10 })));
  watchRuns = (onRun: (run: Run) => void): (() => void) => {
    this.watchers.add(onRun);
    return () => this.watchers.delete(onRun);
  };
  tell(changed: Run): void {
    for (const watcher of this.watchers) watcher(changed);
  }
}

const opened: RunData[] = [];
afterEach(() => opened.splice(0).forEach((data) => data.close()));
const open = (source: FakeSource): RunData => {
  const data = new RunData('a', source);
  opened.push(data);
  return data;
};

describe('RunData', () => {
  it('has a new measurement when an event has changed the run, without asking for each progress', async () => {
    const source = new FakeSource();
    const data = open(source);
    await settle();
    expect(data.points.value).toEqual([]);
    source.tell(run({ update: 11 }));
    source.tell(run({ update: 12 }));
    await settle();
    expect(source.listEvaluations).toHaveBeenCalledTimes(1);
    expect(data.run.value?.update).toBe(12);
    source.evaluations = [evaluation(12)];
    source.tell(run({ update: 12, updatedAt: '2' }));
    await settle();
    expect(data.points.value.map(({ update }) => update)).toEqual([12]);
  });

  it('ignores other runs, and everything once it is closed', async () => {
    const source = new FakeSource();
    const data = open(source);
    await settle();
    source.tell(run({ runId: 'b', update: 99 }));
    expect(data.run.value?.update).toBe(10);
    data.close();
    expect(source.watchers.size).toBe(0);
  });

  it('asks once more for what changed while an answer was on its way', async () => {
    const source = new FakeSource();
    let answer: (evaluations: readonly Evaluation[]) => void = () => undefined;
    source.listEvaluations.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)));
    const data = open(source);
    await settle();
    source.evaluations = [evaluation(12)];
    data.refresh();
    data.refresh();
    expect(source.listEvaluations).toHaveBeenCalledTimes(1);
    answer([]);
    await settle();
    expect(source.listEvaluations).toHaveBeenCalledTimes(2);
    expect(data.points.value).toHaveLength(1);
  });

  it('says that the run is not there, and comes back with a retry', async () => {
    const source = new FakeSource();
    const missing = new ApiError({ code: 'RUN_NOT_FOUND', message: 'no run', status: 404 });
    source.getRun.mockRejectedValueOnce(missing);
    source.listEvaluations.mockRejectedValueOnce(missing);
    const data = open(source);
    await settle();
    expect(data.problem.value).toBe(missing);
    data.load();
    await settle();
    expect(data.problem.value).toBeUndefined();
    expect(data.run.value?.runId).toBe('a');
  });

  it('says why there are no measurements, and asks again when it hears of the run', async () => {
    const source = new FakeSource();
    const gone = new ApiError({ code: 'UNAVAILABLE', message: 'gone' });
    source.evaluations = [evaluation(1)];
    source.listEvaluations.mockRejectedValueOnce(gone);
    const data = open(source);
    await settle();
    expect([data.problem.value, data.measurementProblem.value, data.evaluations.value]).toEqual([undefined, gone, undefined]);
    source.tell(run({ update: 11 }));
    await settle();
    expect(data.measurementProblem.value).toBeUndefined();
    expect(data.points.value).toHaveLength(1);
  });

  it('keeps what it knows when the coordinator is away', async () => {
    const source = new FakeSource();
    source.evaluations = [evaluation(1)];
    const data = open(source);
    await settle();
    source.listEvaluations.mockRejectedValueOnce(new ApiError({ code: 'UNAVAILABLE', message: 'gone' }));
    data.refresh();
    await settle();
    expect([data.problem.value, data.measurementProblem.value]).toEqual([undefined, undefined]);
    expect(data.points.value).toHaveLength(1);
  });

  it('asks for places on an axis once, and again after a failure or for what was left out', async () => {
    const source = new FakeSource();
    source.evaluations = [evaluation(1), evaluation(2)];
    const data = open(source);
    await settle();
    source.getPositions.mockRejectedValueOnce(new ApiError({ code: 'UNAVAILABLE', message: 'gone' }));
    data.locate();
    await settle();
    expect(data.places.value.size).toBe(0);
    source.getPositions.mockImplementationOnce(async () => [{ update: 1, generatorUpdates: 1, samples: 100, wallSeconds: 0.1 }]);
    data.locate();
    data.locate();
    await settle();
    expect(source.getPositions).toHaveBeenCalledTimes(2);
    expect([...data.places.value.keys()]).toEqual([1]);
    data.refresh();
    await settle();
    data.locate();
    await settle();
    expect(source.getPositions).toHaveBeenLastCalledWith('a', [2]);
    expect(data.places.value.get(2)?.samples).toBe(200);
  });
});
