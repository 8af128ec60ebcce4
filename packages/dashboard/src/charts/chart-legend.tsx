import { effect } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Axis } from './axis.js';
import type { ChartSeries } from './chart-series.js';
import { cursor } from './cursor.js';
import { requestDraw, cancelDraw } from './draw-queue.js';
import { readAt, readingText } from './reading.js';
import { Swatch } from './swatch.js';

export interface ChartLegendProps {
  readonly axis: Axis;
  readonly series: readonly ChartSeries[];
  readonly hidden: ReadonlySet<string>;
  readonly onToggle: (id: string) => void;
  readonly format: ((value: number) => string) | undefined;
  /** how far from the cursor a point may be, in units of the axis */
  readonly reach: number;
  /** whether the values follow the cursor now */
  readonly isActive: () => boolean;
}

/** The series with their values at the cursor, or their last ones. Text is written straight into the page: it changes with every move. */
export function ChartLegend({ axis, series, hidden, onToggle, format, reach, isActive }: ChartLegendProps): VNode {
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const write = (): void => {
      const at = cursor.peek();
      const x = at?.axis === axis ? at.x : undefined;
      series.forEach((one, index) => {
        const row = list.current?.children[index];
        const main = row?.querySelector('.chart-value');
        const detail = row?.querySelector('.chart-detail');
        const reading = hidden.has(one.id) ? undefined : readAt(one, x, reach);
        const text = reading ? readingText(reading, format) : { main: hidden.has(one.id) ? 'hidden' : '', detail: '' };
        setText(main, text.main);
        setText(detail, text.detail);
      });
    };
    write();
    const stop = effect(() => {
      void cursor.value;
      if (isActive()) requestDraw(write);
    });
    return () => {
      stop();
      cancelDraw(write);
    };
  }, [axis, series, hidden, format, reach, isActive]);
  return (
    <ul class="chart-legend" ref={list}>
      {series.map((one) => (
        <li key={one.id}>
          <button type="button" class="chart-legend-entry" aria-pressed={!hidden.has(one.id)} onClick={() => onToggle(one.id)} title={hidden.has(one.id) ? `Show ${one.label}` : `Hide ${one.label}`}>
            <Swatch series={one} />
            <span class="chart-label">{one.label}</span>
          </button>
          <span class="chart-value" />
          <span class="chart-detail" />
        </li>
      ))}
    </ul>
  );
}

function setText(element: Element | null | undefined, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}
