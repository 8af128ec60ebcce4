import { describe, expect, it } from 'vitest';
import { axisOf, placeOn, ticksOf } from './axis-ticks.js';
import { plotCurves, type Curve } from './curve-plot.js';
import { spark } from './spark.js';
import { widthOf } from './text.js';

const curve = (...values: readonly (readonly [number, number])[]): Curve => ({ label: 'FID of 2,000 samples', points: values.map(([x, y]) => ({ x, y })) });
const fid = curve([800, 424], [2_300, 14.9], [2_600, 11.4], [3_000, 8.4], [3_600, 7.42]);
const options = { xLabel: 'updates', width: 60, height: 14, unicode: true };

describe('axes', () => {
  it('are logarithmic where the values span orders of magnitude, and truly so', () => {
    const axis = axisOf([7.42, 424]);
    expect(axis.logarithmic).toBe(true);
    expect(placeOn(axis, Math.sqrt(7.42 * 424))).toBeCloseTo(0.5, 12);
    expect(ticksOf(axis, 8)).toEqual([10, 20, 50, 100, 200]);
    expect(axisOf([7, 12]).logarithmic).toBe(false);
    expect(axisOf([0, 1_000]).logarithmic).toBe(false);
    expect(axisOf([-5, 1_000]).logarithmic).toBe(false);
  });

  it('have room for a single value', () => {
    for (const value of [5, 0, -3, 1e-9]) {
      const axis = axisOf([value]);
      expect(axis.from).toBeLessThan(value);
      expect(axis.to).toBeGreaterThan(value);
    }
  });

  it.each([
    [0, 1],
    [0.001, 0.0013],
    [7.42, 14.9],
    [0, 3_600],
    [1e-7, 1e7],
    [-4, 9],
    [999_999, 1_000_001],
  ])('have round ticks between %d and %d, at most as many as asked for', (from, to) => {
    for (const most of [2, 3, 5, 9]) {
      const axis = axisOf([from, to]);
      const ticks = ticksOf(axis, most);
      expect(ticks.length).toBeLessThanOrEqual(most);
      expect(ticks).toEqual([...ticks].sort((a, b) => a - b));
      for (const tick of ticks) expect(placeOn(axis, tick)).toBeGreaterThanOrEqual(-1e-9);
      for (const tick of ticks) expect(placeOn(axis, tick)).toBeLessThanOrEqual(1 + 1e-9);
    }
    expect(ticksOf(axisOf([from, to]), 9).length).toBeGreaterThanOrEqual(2);
  });
});

describe('plotCurves', () => {
  it('fills the room that it is given, and no more', () => {
    for (const [width, height] of [[60, 14], [100, 20], [24, 6]] as const) {
      const lines = plotCurves({ ...options, curves: [fid], width, height });
      expect(lines).toHaveLength(height);
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
    }
  });

  it('draws from the first point in the upper left to the last one in the lower right, with both axes labelled', () => {
    const lines = plotCurves({ ...options, curves: [fid] });
    const dots = lines.slice(1, -2).map((line) => [...line].flatMap((character, column) => (character >= '\u2801' && character <= '\u28ff' ? [column] : [])));
    expect(dots[0]?.[0]).toBe(5);
    expect(dots.at(-1)?.at(-1)).toBe(59);
    // It falls: no row begins left of the one above it.
    dots.slice(1).forEach((row, i) => expect(row[0]).toBeGreaterThanOrEqual(dots[i]?.[0] ?? 0));
    expect(lines[0]).toBe('     ━━ FID of 2,000 samples   over updates');
    expect(lines.join('\n')).toMatch(/^100 ┤/m);
    expect(lines.at(-1)).toMatch(/1,000 .*2,000 .*3,000/);
  });

  it('draws a reference across the whole width, and makes room for it', () => {
    const lines = plotCurves({ ...options, curves: [curve([1, 7], [2, 8])], references: [{ label: 'teacher 9.87 (5,000)', y: 9.87 }] });
    expect(lines[0]).toContain('┄┄ teacher 9.87 (5,000)');
    expect(lines[1]).toMatch(/┄{50}/);
  });

  it('tells two curves apart without colours, and does without Unicode', () => {
    const both = [fid, curve([800, 400], [3_600, 9])];
    const [solid = [], dotted = []] = both.map((one) => plotCurves({ ...options, curves: one === fid ? [one] : [{ label: '', points: [] }, one] }));
    const dotsIn = (lines: readonly string[]): number => lines.slice(1, -2).join('').replaceAll(/[^\u2801-\u28ff]/g, '').split('').reduce((sum, character) => sum + (character.charCodeAt(0) - 0x2800).toString(2).replaceAll('0', '').length, 0);
    expect(dotsIn(dotted)).toBeLessThan(dotsIn(solid) / 2);
    const ascii = plotCurves({ ...options, curves: both, references: [{ label: 'teacher', y: 9.87 }], unicode: false }).join('\n');
    expect(ascii).toMatch(/^[\x20-\x7e\n]+$/);
    expect(ascii).toMatch(/\*/);
    expect(ascii).toMatch(/o/);
  });

  it('leaves out what is not finite; without a point, or room, there is nothing', () => {
    expect(plotCurves({ ...options, curves: [curve([0, NaN], [1, Infinity])] })).toEqual([]);
    expect(plotCurves({ ...options, curves: [curve([0, NaN], [1, 8], [2, 7])] }).join('')).toMatch(/[\u2801-\u28ff]/);
    expect(plotCurves({ ...options, curves: [fid], height: 5 })).toEqual([]);
    expect(plotCurves({ ...options, curves: [fid], width: 12 })).toEqual([]);
    expect(plotCurves({ ...options, curves: [curve([5, 8])] })).toHaveLength(14);
  });

  it('styles no more than it must, and lets no label through that would', () => {
    const lines = plotCurves({ ...options, curves: [{ ...fid, label: 'a\u001b[2J\nb' }], paint: (style, text) => `<${style}>${text}</>` });
    expect(lines[0]).toContain('a?[2J b');
    for (const line of lines) expect(line).not.toMatch(/<cyan>[^<]*<\/><cyan>/);
  });
});

describe('spark', () => {
  it('keeps the last value, and is nothing for one', () => {
    expect(spark([424, 14.9, 11.4, 8.4, 7.42], 12)).toBe('█▂▂▁▁');
    const rising = spark(Array.from({ length: 100 }, (_, i) => i + 100), 5);
    expect([rising.length, rising.at(-1)]).toEqual([5, '█']);
    expect([...rising]).toEqual([...rising].sort());
    expect(spark([1], 12)).toBe('');
    expect(spark([NaN, 1, 2], 12)).toBe('▁█');
  });
});
