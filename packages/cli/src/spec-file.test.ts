import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { idempotencyKey, readSpecFile } from './spec-file.js';

const mnist = path.resolve(import.meta.dirname, '../../../configs/mnist.yaml');

describe('readSpecFile', () => {
  it('applies assignments before it validates', () => {
    const { spec, folder, overrides } = readSpecFile(mnist, ['seed=7', 'phases.distill.cycle.guidance=5']);
    expect([spec.seed, spec.phases.distill.cycle.guidance]).toEqual([7, 5]);
    expect(folder).toBe(path.dirname(mnist));
    expect(overrides).toHaveLength(2);
  });

  it('names the field that is wrong', () => {
    expect(() => readSpecFile(mnist, ['phases.tune.updates=0'])).toThrow(expect.objectContaining({ code: 'INVALID_SPEC', field: 'phases.tune.updates' }) as Error);
  });

  it('names a file that is not there', () => {
    expect(() => readSpecFile('no-such.yaml')).toThrow(expect.objectContaining({ code: 'INVALID_SPEC', field: 'no-such.yaml' }) as Error);
  });
});

describe('idempotencyKey', () => {
  const { spec } = readSpecFile(mnist);

  it('is the same whatever the order of the keys', () => {
    expect(idempotencyKey(Object.fromEntries(Object.entries(spec).reverse()) as typeof spec)).toBe(idempotencyKey(spec));
  });

  it('differs when anything differs', () => {
    expect(idempotencyKey({ ...spec, seed: spec.seed + 1 })).not.toBe(idempotencyKey(spec));
  });
});
