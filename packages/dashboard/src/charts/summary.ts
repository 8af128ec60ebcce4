import { axisLabels, type Axis } from './axis.js';
import type { ChartSeries } from './chart-series.js';
import { formatValue } from './format.js';

const named = 4;

/** A chart in a sentence, for those who do not see it: "Guidance loss over updates: mnist from 3.1 to 0.2, lowest 0.18." */
export function summaryOf(title: string, axis: Axis, series: readonly ChartSeries[], format: (value: number) => string = formatValue): string {
  const parts = series.flatMap(({ label, points, stack }) => {
    const values = (stack?.own ?? points.mean).filter((value) => Number.isFinite(value));
    const first = values[0];
    const last = values.at(-1);
    if (first === undefined || last === undefined) return [];
    const lowest = (stack ? values : (points.min ?? values)).reduce((low, value) => (value < low ? value : low), Infinity);
    return `${label} from ${format(first)} to ${format(last)}, lowest ${format(lowest)}`;
  });
  if (parts.length === 0) return `${title} over ${axisLabels[axis]}: no values`;
  const more = parts.length > named ? `; and ${parts.length - named} more` : '';
  return `${title} over ${axisLabels[axis]}: ${parts.slice(0, named).join('; ')}${more}`;
}
