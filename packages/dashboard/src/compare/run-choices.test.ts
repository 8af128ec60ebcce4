import { expect, it } from 'vitest';
import type { Run } from '../api/messages.js';
import { drawnIds, runChoices } from './run-choices.js';

const run = (runId: string, createdAt: string): Run => ({
  runId, name: runId.split('-')[0] ?? '', state: 'RUN_STATE_COMPLETED', phase: 'distill', update: 0, totalUpdates: 1, generatorUpdates: 0, createdAt, updatedAt: createdAt, priority: 0,
  waitingFor: '', network: '', cyclePosition: 0, cycleLength: 0, cycleGuidance: 0, fidCurve: [], fidSamples: 0,
});
const runs = [run('mnist-1', '2026-01-01T00:00:00Z'), run('mnist-2', '2026-01-03T00:00:00Z'), run('cifar-3', '2026-01-02T00:00:00Z')];

it('offers the newest first, without those that are there already', () => {
  expect(runChoices(runs, []).map(({ runId }) => runId)).toEqual(['mnist-2', 'cifar-3', 'mnist-1']);
  expect(runChoices(runs, ['mnist-2']).map(({ runId }) => runId)).toEqual(['cifar-3', 'mnist-1']);
});

it('finds runs by every word of the search', () => {
  expect(runChoices(runs, [], 'MNIST 2').map(({ runId }) => runId)).toEqual(['mnist-2']);
  expect(runChoices(runs, [], 'imagenet')).toEqual([]);
});

it('draws each run once, its own first, however the URL was written', () => {
  expect(drawnIds('a', ['b', 'a', 'b', 'c'], 7)).toEqual(['a', 'b', 'c']);
  expect(drawnIds('a', ['b', 'c', 'd'], 2)).toEqual(['a', 'b', 'c']);
});
