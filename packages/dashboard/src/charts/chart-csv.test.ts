import { expect, it } from 'vitest';
import { chartCsv } from './chart-csv.js';

it('has every point with its extremes, and no more columns than are known', () => {
  const csv = chartCsv('updates', [
    { id: 'a', label: 'mnist', colour: '#000', points: { x: [1, 2], mean: [0.5, 0.25], min: [0.4, 0.2], max: [0.75, 0.3], count: [3, 4] } },
    { id: 'b', label: 'other', colour: '#000', points: { x: [7, 8], mean: [1, NaN] } },
  ]);
  expect(csv).toBe('series,update,mean,min,max,count\r\nmnist,1,0.5,0.4,0.75,3\r\nmnist,2,0.25,0.2,0.3,4\r\nother,7,1,1,1,1\r\n');
});

it('has smoothed values and confidence intervals where they are drawn', () => {
  const csv = chartCsv('wallTime', [{ id: 'a', label: 'm', colour: '#000', smooth: 0.5, points: { x: [1, 2], mean: [4, 8], lower: [3, NaN], upper: [5, NaN] } }]);
  const [head, first, second] = csv.split('\r\n');
  expect(head).toBe('series,wall_seconds,mean,min,max,count,smoothed,lower_95,upper_95');
  expect(first).toBe('m,1,4,4,4,1,4,3,5');
  expect(second).toBe(`m,2,8,8,8,1,${20 / 3},,`);
});
