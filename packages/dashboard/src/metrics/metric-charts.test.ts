import { expect, it } from 'vitest';
import { isMeant, metricCharts } from './metric-charts.js';

const ids = (available: Record<string, number>): string[] => metricCharts(new Map(Object.entries(available))).map(({ id }) => id);

it('has the charts of what there is, and one more for each series that nobody knows', () => {
  expect(ids({ 'guidance.loss': 5, 'generator.loss': 0, 'update.wallMs': 5, 'generator.entropy': 3, 'update.queueMs': 2 })).toEqual(['guidance-loss', 'other-generator.entropy', 'other-update.queueMs']);
  expect(ids({ 'regress.loss': 9 })).toEqual(['warm-up-loss']);
});

it('offers what most runs have before anything is known', () => {
  expect(ids({})).toContain('guidance-loss');
  expect(new Set(ids({})).size).toBe(ids({}).length);
});

it('names every series that it draws once', () => {
  const names = metricCharts(new Map()).flatMap((chart) => chart.names);
  expect(new Set(names).size).toBe(names.length);
  for (const { names: own, labels } of metricCharts(new Map())) if (own.length > 1) expect(labels).toHaveLength(own.length);
});

it('finds charts by words of their titles and series', () => {
  const found = (words: string): string[] => metricCharts(new Map()).filter((chart) => isMeant(chart, words)).map(({ id }) => id);
  expect(found('GUIDANCE loss')).toEqual(['guidance-loss']);
  expect(found('publishms')).toEqual(['update-phases']);
  expect(found('nothing like it')).toEqual([]);
});
