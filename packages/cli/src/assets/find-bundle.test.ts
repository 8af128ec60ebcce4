import { create, PushedAssetsSchema } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { findBundle } from './find-bundle.js';

const hash = (start: string): string => start.padEnd(64, '0');
const bundles = ['ab1', 'ab2', 'c'].map((start) => create(PushedAssetsSchema, { manifestSha256: hash(start) }));

describe('findBundle', () => {
  it.each(['ab1', hash('ab1'), 'c'])('finds the one that begins with %s', (start) => {
    expect(findBundle(bundles, start).manifestSha256.startsWith(start)).toBe(true);
  });

  it.each([
    ['ab', 'INVALID_ARGUMENT', 'several asset bundles begin with ab'],
    ['', 'INVALID_ARGUMENT', 'does not begin a SHA-256'],
    ['AB1', 'INVALID_ARGUMENT', 'does not begin a SHA-256'],
    ['../c', 'INVALID_ARGUMENT', 'does not begin a SHA-256'],
    [`${hash('c')}0`, 'INVALID_ARGUMENT', 'does not begin a SHA-256'],
    ['d', 'ASSET_MISSING', 'no asset bundle begins with d'],
  ])('refuses "%s"', (start, code, problem) => {
    expect(() => findBundle(bundles, start)).toThrow(expect.objectContaining({ code, field: 'sha256', message: expect.stringContaining(problem) as string }) as Error);
  });
});
