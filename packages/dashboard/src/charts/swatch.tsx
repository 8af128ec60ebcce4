import type { VNode } from 'preact';
import { dashLengths, type ChartSeries } from './chart-series.js';

const shapes = {
  circle: 'M12 2.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z',
  square: 'M9 3h6v6H9z',
  diamond: 'M12 1.5 16.5 6 12 10.5 7.5 6z',
  triangle: 'M12 2l4 7.5H8z',
  cross: 'M9 3l6 6M15 3l-6 6',
} as const;

/** How a series is drawn, in small: colour, dashes and shape. */
export function Swatch({ series }: { readonly series: Pick<ChartSeries, 'colour' | 'dash' | 'line' | 'marks' | 'mark' | 'stack'> }): VNode {
  const { colour, dash, line, marks, mark = 'circle', stack } = series;
  const paint = { color: colour };
  return (
    <svg class="chart-swatch" viewBox="0 0 24 12" width="24" height="12" aria-hidden="true" focusable="false" style={paint}>
      {stack ? <path d="M3 1h18v10H3z" fill="currentColor" fill-opacity="0.75" /> : line !== false && <path d="M1 6h22" stroke="currentColor" stroke-width="2.25" stroke-dasharray={dashLengths(dash).join(' ')} fill="none" />}
      {(marks || line === false) && <path d={shapes[mark]} fill={mark === 'cross' ? 'none' : 'currentColor'} stroke="currentColor" stroke-width={mark === 'cross' ? 2 : 0} />}
    </svg>
  );
}
