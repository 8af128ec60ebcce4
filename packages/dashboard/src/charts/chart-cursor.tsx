import { effect } from '@preact/signals';
import type { RefObject, VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Axis } from './axis.js';
import type { ChartSeries, Zoom } from './chart-series.js';
import type { ChartStage } from './chart-stage.js';
import { cursor } from './cursor.js';
import { nearestIndex } from './nearest.js';
import type { Scale } from './projection.js';
import { placeText, readAt, readingText } from './reading.js';
import { panBy, zoomBy } from './zoom-range.js';

export interface ChartCursorProps {
  readonly title: string;
  readonly axis: Axis;
  readonly series: readonly ChartSeries[];
  readonly format: ((value: number) => string) | undefined;
  readonly stage: RefObject<ChartStage | undefined>;
  readonly extent: Zoom | undefined;
  /** how far from the cursor a point may be, in units of the axis */
  readonly reach: number;
  readonly onZoom: ((zoom: Zoom | undefined) => void) | undefined;
  readonly onReset: () => void;
  readonly onPick: (x: number) => void;
}

/**
 * The cursor for the keyboard: a slider that reads out the values where it stands. Arrows move it from point to point (ten with
 * shift), plus and minus zoom, page keys move what is shown, Home and Escape show everything, Enter picks.
 */
export function ChartCursor({ title, axis, series, format, stage, extent, reach, onZoom, onReset, onPick }: ChartCursorProps): VNode {
  const control = useRef<HTMLDivElement>(null);
  useEffect(
    () =>
      effect(() => {
        const at = cursor.value;
        const element = control.current;
        if (!element) return;
        const isHere = at?.axis === axis;
        // elsewhere it costs time with every move of the pointer, and nobody listens
        if (element !== document.activeElement && element.hasAttribute('aria-valuenow')) return;
        const x = isHere ? at.x : (extent?.[0] ?? 0);
        element.setAttribute('aria-valuenow', String(x));
        element.setAttribute('aria-valuetext', isHere ? readOut(axis, series, x, reach, format) : 'not placed');
      }),
    [axis, series, format, extent, reach],
  );
  const onKeyDown = (event: KeyboardEvent): void => {
    const scale = stage.current?.plot?.x;
    if (!scale || event.altKey || event.metaKey || event.ctrlKey) return;
    const at = cursor.peek();
    const x = at?.axis === axis ? at.x : undefined;
    const act = actions({ scale, x, extent, onZoom, onReset, onPick, place: (next) => (cursor.value = next === undefined ? undefined : { axis, x: next }), series }, event);
    if (!act) return;
    event.preventDefault();
    act();
  };
  return (
    <div
      ref={control}
      class="chart-cursor"
      role="slider"
      tabIndex={0}
      aria-label={`Cursor of ${title}`}
      aria-valuemin={extent?.[0] ?? 0}
      aria-valuemax={extent?.[1] ?? 1}
      aria-valuenow={extent?.[0] ?? 0}
      aria-valuetext="not placed"
      aria-keyshortcuts="ArrowLeft ArrowRight + - Home Escape"
      onKeyDown={onKeyDown}
    />
  );
}

interface Situation {
  readonly scale: Scale;
  /** of the cursor */
  readonly x: number | undefined;
  readonly extent: Zoom | undefined;
  readonly series: readonly ChartSeries[];
  readonly onZoom: ((zoom: Zoom | undefined) => void) | undefined;
  readonly onReset: () => void;
  readonly onPick: (x: number) => void;
  readonly place: (x: number | undefined) => void;
}

function actions(situation: Situation, { key, shiftKey }: KeyboardEvent): (() => void) | undefined {
  const { scale, x, extent, onZoom, onReset, onPick, place } = situation;
  switch (key) {
    case 'ArrowLeft':
      return () => place(step(situation, shiftKey ? -10 : -1));
    case 'ArrowRight':
      return () => place(step(situation, shiftKey ? 10 : 1));
    case '+':
    case '=':
      return onZoom && (() => onZoom(zoomBy(scale, 0.5, x, extent)));
    case '-':
    case '_':
      return onZoom && (() => onZoom(zoomBy(scale, 2, x, extent)));
    case 'PageUp':
      return onZoom && (() => onZoom(panBy(scale, -0.5, extent)));
    case 'PageDown':
      return onZoom && (() => onZoom(panBy(scale, 0.5, extent)));
    case 'Home':
      return onReset;
    case 'Escape':
      return () => {
        place(undefined);
        onReset();
      };
    case 'Enter':
      return x === undefined ? undefined : () => onPick(x);
    default:
      return undefined;
  }
}

/** The x that is `by` points away on the series with most points in sight; the first one in sight when the cursor is nowhere. */
function step({ scale, x, series }: Situation, by: number): number | undefined {
  let places: readonly number[] = [];
  for (const { points } of series) {
    const inSight = points.x.filter((place) => place >= scale.min && place <= scale.max);
    if (inSight.length > places.length) places = inSight;
  }
  if (places.length === 0) return undefined;
  if (x === undefined || x < scale.min || x > scale.max) return by > 0 ? places[0] : places.at(-1);
  const index = nearestIndex(places, x) ?? 0;
  return places[Math.min(places.length - 1, Math.max(0, index + by))];
}

function readOut(axis: Axis, series: readonly ChartSeries[], x: number, reach: number, format: ((value: number) => string) | undefined): string {
  const values = series.flatMap((one) => {
    const reading = readAt(one, x, reach);
    return reading ? `${one.label} ${readingText(reading, format).main}` : [];
  });
  return [placeText(axis, x), ...values].join(', ');
}
