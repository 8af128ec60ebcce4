import { batch, computed, type ReadonlySignal } from '@preact/signals';
import { choice, flag, number, param } from '../view/view-state.js';
import { axes, type Axis } from './axis.js';
import type { Zoom } from './chart-series.js';
import { cursor } from './cursor.js';

/** What the charts of a view share, all of it in the URL. */
export const axisParam = param<Axis>('axis', choice(axes));
/** Forgetting factor of smoothed lines; 0 for none. */
export const smoothParam = param('smooth', number(0, { min: 0, max: 0.999 }));
export const logXParam = param('logx', flag());
export const logYParam = param('logy', flag());
const fromParam = param('from', number(undefined));
const toParam = param('to', number(undefined));

/** The part of the axis that the charts show; undefined for all of it. */
export const zoom: ReadonlySignal<Zoom | undefined> = computed(() => {
  const from = fromParam.value;
  const to = toParam.value;
  return from !== undefined && to !== undefined && from < to ? [from, to] : undefined;
});

/** Shows a part of the axis in all charts, or all of it. */
export function setZoom(next: Zoom | undefined): void {
  batch(() => {
    fromParam.value = next && rounded(next[0], next);
    toParam.value = next && rounded(next[1], next);
  });
}

/** Draws everything over another axis; places of the old one mean nothing there. */
export function setAxis(axis: Axis): void {
  if (axis === axisParam.peek()) return;
  batch(() => {
    setZoom(undefined);
    cursor.value = undefined;
    axisParam.value = axis;
  });
}

/** To a thousandth of the range: an address that people can read. */
function rounded(value: number, [from, to]: Zoom): number {
  const step = 10 ** Math.floor(Math.log10((to - from) / 1000));
  return Number((Math.round(value / step) * step).toPrecision(12));
}
