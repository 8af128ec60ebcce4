import { expect, it } from 'vitest';
import { compact, formatValue } from './format.js';

it.each([
  [0, '0'],
  [0.0321349, '0.03213'],
  [12.3456, '12.35'],
  [1204, '1,204'],
  [12_345.6, '12,346'],
  [9_999.96, '10,000'],
  [999_999.7, '1,000,000'],
  [1_234_567, '1.235M'],
  [3.14159e-7, '3.14e-7'],
  [-0.5, '-0.5'],
  [NaN, '-'],
  [-Infinity, '-∞'],
])('reads %d as %s', (value, text) => expect(formatValue(value)).toBe(text));

it.each([
  [12_000, '12k'],
  [1_500_000, '1.5M'],
  [2e9, '2G'],
  [0.25, '0.25'],
  [1e-5, '1e-5'],
  [2.5e-5, '2.5e-5'],
  [-3000, '-3k'],
])('is compact: %d as %s', (value, text) => expect(compact(value)).toBe(text));
