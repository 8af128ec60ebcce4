import { layoutOf, slotOf, tokenizerNetwork } from '@dd2/models';
import { describe, expect, it } from 'vitest';
import { CodebookAverage } from './codebook-average.js';
import { StepProgress } from './progress.js';
import { countCodes, normalise, perplexity } from './tokenizer.js';

describe('CodebookAverage', () => {
  const V = 4;
  const d = 2;
  const latents = Float32Array.from({ length: 8 * d }, (_, i) => i);

  it('starts from distinct latents', () => {
    const codebook = new Float32Array(V * d);
    new CodebookAverage(V, d, 3).startFrom(0, latents, codebook);
    const rows = Array.from({ length: V }, (_, code) => codebook[code * d] ?? NaN);
    expect(new Set(rows).size).toBe(V);
    rows.forEach((first, code) => expect([first % 2, codebook[code * d + 1]]).toEqual([0, first + 1]));
  });

  it('moves codes towards the latents that chose them: one step by hand', () => {
    const average = new CodebookAverage(V, d, 3);
    const codebook = new Float32Array(V * d);
    average.startFrom(0, latents, codebook);
    const before = codebook.slice();
    const counts = Float32Array.of(2, 1, 1, 4);
    const sums = Float32Array.of(20, 40, 1, 1, 2, 2, 4, 8);
    expect(average.update(1, counts, sums, latents, codebook)).toBe(0);
    expect(codebook[0]).toBeCloseTo((0.98 * (before[0] ?? 0) + 0.02 * 20) / (0.98 + 0.02 * 2), 5);
    expect(codebook[7]).toBeCloseTo((0.98 * (before[7] ?? 0) + 0.02 * 8) / (0.98 + 0.02 * 4), 5);
  });

  it('restarts a code that nothing chooses at a latent of the batch', () => {
    const average = new CodebookAverage(V, d, 3);
    const codebook = new Float32Array(V * d);
    average.startFrom(0, latents, codebook);
    const counts = Float32Array.of(0, 10, 10, 10);
    const sums = Float32Array.of(0, 0, 100, 100, 200, 200, 300, 300);
    let restarted = 0;
    for (let step = 1; restarted === 0 && step < 200; step++) restarted += average.update(step, counts, sums, latents, codebook);
    expect(restarted).toBe(1);
    const [x = NaN, y = NaN] = codebook;
    expect([Array.from(latents).includes(x), y - x]).toEqual([true, 1]);
  });

  it('refuses a batch with too few latents', () => {
    expect(() => new CodebookAverage(V, d, 3).startFrom(0, latents.subarray(0, 6), new Float32Array(8))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  });
});

describe('statistics of the codes', () => {
  it('counts, and measures how many codes are in use', () => {
    expect([...countCodes(BigInt64Array.of(0n, 2n, 2n, 3n), 4)]).toEqual([1, 0, 2, 1]);
    expect(perplexity(Float64Array.of(5, 5, 0, 5, 5))).toBeCloseTo(4, 10);
  });

  it('normalises by the use of the codes', () => {
    const mean = new Float32Array(1);
    const deviation = new Float32Array(1);
    normalise(Float64Array.of(3, 1), Float32Array.of(0, 4), mean, deviation);
    expect(mean[0]).toBe(1);
    expect(deviation[0]).toBe(2); // of 0, 0, 0, 4 with n - 1
  });

  it('finds the buffers in the flat vector', () => {
    const layout = layoutOf(tokenizerNetwork({ vocabulary: 128, dimension: 6, grid: 4 }));
    expect(slotOf(layout, 'codebook').shape).toEqual([128, 6]);
  });
});

it('reports the first and the last step', () => {
  const lines: string[] = [];
  const progress = new StepProgress('teacher', 3, (line) => lines.push(line));
  for (let step = 0; step < 3; step++) progress.step(step, { loss: 1 / (step + 1) });
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^teacher +1\/3 {2}loss 1\.0000 .* left$/);
  expect(lines[1]).toMatch(/^teacher +3\/3 {2}loss 0\.3333 /);
});
