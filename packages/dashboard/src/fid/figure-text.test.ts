import { expect, it } from 'vitest';
import { figureText, stepText } from './figure-text.js';

it('never shows a figure without the number of samples that it depends on', () => {
  expect(figureText({ fid: 11.364, standardError: undefined, samples: 2000 })).toBe('11.36 (2,000 samples)');
  expect(figureText({ fid: 11.364, standardError: 0.25, samples: 50_000 })).toBe('11.36 ± 0.49 (50,000 samples)');
  expect(stepText({ update: 2600, generatorUpdates: 50, fid: 7, standardError: undefined, samples: 2000 })).toBe('update 2,600, 50 generator updates, FID 7.00 (2,000 samples)');
});
