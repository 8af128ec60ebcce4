import { dashLengths } from './chart-series.js';

/** Colours of series, `--series-1` to `--series-8` of charts.css: after Okabe and Ito, told apart with any colour vision, in both themes. */
export const colourCount = 8;

const dashes: readonly (readonly number[])[] = [[], [7, 3], [2, 2.5], [9, 3, 2, 3]];

export function seriesColour(slot: number): string {
  return `var(--series-${(slot % colourCount) + 1})`;
}

/**
 * Slot of a run among those of a view, in the order in which they were added. The first one always has slot 0; the others keep
 * theirs, as a rule, when one of them is taken away, because it follows from their ids. From the ninth on, slots are past the palette.
 */
export function runSlot(runId: string, runIds: readonly string[]): number {
  const taken = new Map<number, string>();
  for (const id of runIds) {
    if ([...taken.values()].includes(id)) continue;
    const round = Math.floor(taken.size / colourCount) * colourCount;
    const wanted = taken.size === 0 ? 0 : hash(id) % colourCount;
    let slot = wanted;
    while (taken.has(round + slot)) slot = (slot + 1) % colourCount;
    if (id === runId) return round + slot;
    taken.set(round + slot, id);
  }
  return runIds.length;
}

/** The colour of a run in every chart of a view. */
export function runColour(runId: string, runIds: readonly string[]): string {
  return seriesColour(runSlot(runId, runIds));
}

/** The dashes of a run's lines, the second channel beside colour: the first run's are solid, and runs of one colour differ. */
export function runDash(runId: string, runIds: readonly string[]): readonly number[] {
  return dashLengths(dashes[dashIndex(Math.max(0, runIds.indexOf(runId)), runIds)]);
}

function dashIndex(index: number, runIds: readonly string[]): number {
  const colour = runColour(runIds[index] ?? '', runIds);
  const earlier = runIds.slice(0, index).findLastIndex((id) => runColour(id, runIds) === colour);
  return (earlier < 0 ? index : dashIndex(earlier, runIds) + 1) % dashes.length;
}

/** FNV-1a of the text. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return value;
}
