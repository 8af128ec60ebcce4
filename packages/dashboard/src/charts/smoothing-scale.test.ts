import { expect, it } from 'vitest';
import { factorAt, factorText, positionOf } from './smoothing-scale.js';

it('has a factor of its own at every position, that leads back to it', () => {
  let last = -1;
  for (let position = 0; position <= 100; position += 1) {
    const factor = factorAt(position);
    expect(factor).toBeGreaterThan(last);
    expect(positionOf(factor)).toBe(position);
    last = factor;
  }
  expect(factorAt(0)).toBe(0);
  expect(factorAt(100)).toBe(0.999);
});

it('says what it is', () => {
  expect(factorText(0)).toBe('off');
  expect(factorText(0.9)).toBe('0.90');
  expect(factorText(0.999)).toBe('0.9990');
});
