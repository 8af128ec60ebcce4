import type { VNode } from 'preact';
import { axisLabels, type Axis } from './axis.js';
import type { ChartSeries } from './chart-series.js';
import { formatCount } from '../view/format.js';
import { formatValue, shortDuration } from './format.js';
import { rebucket } from './rebucket.js';

const rowsOfSeries = 60;

/** What a chart shows as a table, for those who do not see it; long series in fewer rows, with every extreme. */
export function ChartTable({ title, axis, series, format = formatValue }: { readonly title: string; readonly axis: Axis; readonly series: readonly ChartSeries[]; readonly format: ((value: number) => string) | undefined }): VNode {
  const isReduced = series.some(({ points }) => points.x.length > rowsOfSeries);
  return (
    <div class="chart-table" role="region" tabIndex={0} aria-label={`Values of ${title}`}>
      <table>
        <caption>
          {title}
          {isReduced && `: neighbouring points are taken together, at most ${rowsOfSeries} rows a series; the CSV download has all that is drawn`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">{axisLabels[axis]}</th>
            <th scope="col">Mean</th>
            <th scope="col">Lowest</th>
            <th scope="col">Highest</th>
            <th scope="col">Values</th>
          </tr>
        </thead>
        {series.map(({ id, label, points, stack }) => {
          const rows = rebucket(stack ? { ...points, mean: stack.own } : points, rowsOfSeries);
          return (
            <tbody key={id}>
              {rows.x.map((x, index) => (
                <tr key={index}>
                  <th scope="row">{label}</th>
                  <td>{axis === 'wallTime' ? shortDuration(x) : formatCount(Math.round(x))}</td>
                  <td>{format(rows.mean[index] as number)}</td>
                  <td>{format(rows.min[index] as number)}</td>
                  <td>{format(rows.max[index] as number)}</td>
                  <td>{formatCount(rows.count[index] as number)}</td>
                </tr>
              ))}
            </tbody>
          );
        })}
      </table>
    </div>
  );
}
