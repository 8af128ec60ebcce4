import { csvText } from '../ui/csv-text.js';
import type { Axis } from './axis.js';
import type { ChartSeries } from './chart-series.js';
import { smoothedValues } from './draw-series.js';

const axisColumns: Readonly<Record<Axis, string>> = { updates: 'update', generatorUpdates: 'generator_update', samples: 'samples_seen', wallTime: 'wall_seconds' };

/** All points of the series as CSV (RFC 4180), one point or bucket a line; columns that no series has are left out. */
export function chartCsv(axis: Axis, series: readonly ChartSeries[]): string {
  const hasSmooth = series.some(({ smooth }) => smooth);
  const hasInterval = series.some(({ points }) => points.lower && points.upper);
  const lines = [[
    'series', axisColumns[axis], 'mean', 'min', 'max', 'count',
    ...(hasSmooth ? ['smoothed'] : []),
    ...(hasInterval ? ['lower_95', 'upper_95'] : []),
  ].join(',')];
  for (const one of series) {
    const { points, label, stack } = one;
    const curve = smoothedValues(one);
    const means = stack?.own ?? points.mean;
    const name = csvText(label);
    points.x.forEach((x, index) => {
      const mean = means[index] as number;
      if (!Number.isFinite(mean)) return;
      lines.push([
        name, x, mean, points.min?.[index] ?? mean, points.max?.[index] ?? mean, points.count?.[index] ?? 1,
        ...(hasSmooth ? [csvNumber(curve?.[index])] : []),
        ...(hasInterval ? [csvNumber(points.lower?.[index]), csvNumber(points.upper?.[index])] : []),
      ].join(','));
    });
  }
  return `${lines.join('\r\n')}\r\n`;
}

function csvNumber(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? '' : String(value);
}
