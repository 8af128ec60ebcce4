import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { colourCount, runColour, runDash, runSlot, seriesColour } from './palette.js';

type Rgb = readonly [number, number, number];

const css = readFileSync(new URL('../styles/tokens.css', import.meta.url), 'utf8');
const themes = { light: /:root \{([^}]*)\}/.exec(css)?.[1] ?? '', dark: /:root\[data-theme='dark'\] \{([^}]*)\}/.exec(css)?.[1] ?? '' };

function colourOf(theme: 'light' | 'dark', name: string): Rgb {
  const hex = new RegExp(`${name}: #([0-9a-f]{6});`).exec(themes[theme])?.[1];
  if (hex === undefined) throw new Error(`${name} is not a colour of the ${theme} theme`);
  return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255) as unknown as Rgb;
}

const linear = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]: Rgb): number => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
/** Contrast as WCAG 2 has it. */
function contrast(one: Rgb, other: Rgb): number {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1. */
const deficiencies: Readonly<Record<string, readonly Rgb[]>> = {
  full: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

/** Oklab (Ottosson, 2020) of a colour as somebody sees it. */
function seen(colour: Rgb, matrix: readonly Rgb[]): Rgb {
  const [r, g, b] = colour.map(linear) as unknown as Rgb;
  const [r2, g2, b2] = matrix.map(([x, y, z]) => Math.min(1, Math.max(0, x * r + y * g + z * b))) as unknown as Rgb;
  const l = Math.cbrt(0.4122214708 * r2 + 0.5363325363 * g2 + 0.0514459929 * b2);
  const m = Math.cbrt(0.2119034982 * r2 + 0.6806995451 * g2 + 0.1073969566 * b2);
  const s = Math.cbrt(0.0883024619 * r2 + 0.2817188376 * g2 + 0.6299787005 * b2);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

const distance = (one: Rgb, other: Rgb): number => Math.hypot(one[0] - other[0], one[1] - other[1], one[2] - other[2]);

describe.each(['light', 'dark'] as const)('the colours of the %s theme', (theme) => {
  const colours = Array.from({ length: colourCount }, (_, slot) => colourOf(theme, `--series-${slot + 1}`));

  it('stand out from the background as lines have to', () => {
    for (const colour of colours) expect(contrast(colour, colourOf(theme, '--surface'))).toBeGreaterThanOrEqual(3);
  });

  it.each(Object.keys(deficiencies))('are told apart with %s vision', (vision) => {
    const matrix = deficiencies[vision] as readonly Rgb[];
    const places = colours.map((colour) => seen(colour, matrix));
    const nearest = Math.min(...places.flatMap((one, index) => places.slice(index + 1).map((other) => distance(one, other))));
    expect(nearest).toBeGreaterThan(0.07);
  });
});

describe('the colour of a run', () => {
  it('is the first one for the run of the page, and different ones for up to eight runs', () => {
    const runIds = Array.from({ length: colourCount }, (_, index) => `mnist-${index}`);
    expect(runColour('mnist-0', runIds)).toBe('var(--series-1)');
    expect(new Set(runIds.map((runId) => runColour(runId, runIds))).size).toBe(colourCount);
  });

  it('stays when a run after it comes or goes', () => {
    const runIds = ['a', 'b', 'c', 'd'];
    for (let length = 2; length <= runIds.length; length += 1) {
      for (const runId of runIds.slice(0, length)) expect(runColour(runId, runIds.slice(0, length))).toBe(runColour(runId, runIds));
    }
  });

  it('starts again after eight, with other dashes', () => {
    const runIds = Array.from({ length: 11 }, (_, index) => `run-${index}`);
    expect(new Set(runIds.slice(8).map((runId) => runColour(runId, runIds))).size).toBe(3);
    expect(new Set(runIds.map((runId) => `${runColour(runId, runIds)} ${runDash(runId, runIds).join()}`)).size).toBe(11);
    expect(runSlot('run-8', runIds)).toBeGreaterThanOrEqual(8);
    expect(seriesColour(8)).toBe(seriesColour(0));
  });

  it('counts a run once that is named twice', () => {
    expect(runColour('b', ['a', 'a', 'b'])).toBe(runColour('b', ['a', 'b']));
  });
});
