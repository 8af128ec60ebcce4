import { axisOf, placeOn } from './axis-ticks.js';

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A curve of at most `most` characters in one line, on the axis that `axisOf` chooses; of neighbouring values the last one is shown. */
export function spark(values: readonly number[], most: number): string {
  const finite = values.filter(Number.isFinite);
  if (finite.length < 2) return '';
  const axis = axisOf(finite);
  const count = Math.min(most, finite.length);
  return Array.from({ length: count }, (_, i) => {
    const value = finite[Math.round(((i + 1) * finite.length) / count) - 1] ?? 0;
    return BARS[Math.round(placeOn(axis, value) * (BARS.length - 1))] ?? '';
  }).join('');
}
