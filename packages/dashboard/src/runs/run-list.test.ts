import { describe, expect, it } from 'vitest';
import type { Run } from '../api/client.js';
import { filterRuns, formatSorting, parseSorting, progressOf, sortKeys, sortRuns } from './run-list.js';

const run = (runId: string, more: Partial<Run> = {}): Run => ({
  runId,
  name: runId.split('-')[0] ?? '',
  state: 'RUN_STATE_RUNNING',
  phase: 'distill',
  update: 10,
  totalUpdates: 100,
  generatorUpdates: 1,
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
  fidSamples: 2000,
  priority: 0,
  waitingFor: '',
  network: 'guidance',
  cyclePosition: 0,
  cycleLength: 4,
  cycleGuidance: 3,
  fidCurve: [],
  ...more,
});
const ids = (runs: readonly Run[]): string[] => runs.map(({ runId }) => runId);

describe('sorting', () => {
  const runs = [run('a', { bestFid: 9 }), run('b'), run('c', { bestFid: 7 }), run('d', { bestFid: 'NaN' }), run('e', { bestFid: 10 })];
  it('puts what is not measured last, either way', () => {
    expect(ids(sortRuns(runs, { by: 'best', isDescending: false }))).toEqual(['c', 'a', 'e', 'b', 'd']);
    expect(ids(sortRuns(runs, { by: 'best', isDescending: true }))).toEqual(['e', 'a', 'c', 'b', 'd']);
  });
  it('keeps equal runs newest first, whatever the direction', () => {
    const twins = [run('x', { createdAt: '2026-01-01T00:00:00Z' }), run('y', { createdAt: '2026-01-02T00:00:00Z' })];
    for (const isDescending of [true, false]) expect(ids(sortRuns(twins, { by: 'priority', isDescending }))).toEqual(['y', 'x']);
  });
  it('sorts names as people do, and what goes on before what is over', () => {
    expect(ids(sortRuns([run('run10'), run('run9')], { by: 'name', isDescending: false }))).toEqual(['run9', 'run10']);
    expect(ids(sortRuns([run('a', { state: 'RUN_STATE_CANCELLED' }), run('b', { state: 'RUN_STATE_PAUSED' }), run('c')], { by: 'state', isDescending: false }))).toEqual(['c', 'b', 'a']);
  });
  it('does not change what it is given', () => {
    const before = [...runs];
    sortRuns(runs, { by: 'best', isDescending: false });
    expect(runs).toEqual(before);
  });
  it.each(sortKeys)('has %s in the URL both ways', (by) => {
    for (const isDescending of [true, false]) expect(parseSorting(formatSorting({ by, isDescending }))).toEqual({ by, isDescending });
  });
  it.each(['', '-', '--best', 'constructor', 'best '])('knows no sorting %j', (text) => {
    expect(parseSorting(text)).toBeUndefined();
  });
});

describe('filtering', () => {
  const runs = [run('mnist-1', { state: 'RUN_STATE_PAUSED' }), run('mnist-2', { phase: 'tune' }), run('cifar-1')];
  it('wants every word, in name, id or phase', () => {
    expect(ids(filterRuns(runs, ' MNIST  tune ', []))).toEqual(['mnist-2']);
    expect(ids(filterRuns(runs, '', []))).toEqual(ids(runs));
    expect(ids(filterRuns(runs, '.*', []))).toEqual([]);
  });
  it('wants one of the states', () => {
    expect(ids(filterRuns(runs, '', ['paused', 'failed']))).toEqual(['mnist-1']);
    expect(ids(filterRuns(runs, '', ['no such state']))).toEqual([]);
  });
});

it('bounds the progress', () => {
  expect([progressOf({ update: 5, totalUpdates: 10 }), progressOf({ update: 11, totalUpdates: 10 }), progressOf({ update: 0, totalUpdates: 0 })]).toEqual([0.5, 1, 0]);
});
