import { describe, expect, it } from 'vitest';
import { VectorPool } from './vector-pool.js';

const ramp = Float32Array.from({ length: 103 }, (_, i) => i + 1);

describe.each([16, 25, 103, 1000])('vectors in banks of %i elements', (bank) => {
  it('are written in any pieces and read back whole', () => {
    const pool = new VectorPool(103, bank);
    const vector = pool.allocate();
    pool.write(vector, 60, ramp.subarray(60));
    pool.write(vector, 0, ramp.subarray(0, 60));
    expect(pool.read(vector)).toEqual(ramp);
    pool.clear(vector, 10, 70);
    expect(pool.read(vector)).toEqual(ramp.map((value, i) => (i >= 10 && i < 70 ? 0 : value)));
  });

  it('are summed and checked', () => {
    const pool = new VectorPool(103, bank);
    const [a, b] = [pool.allocate(), pool.allocate()];
    pool.write(a, 0, ramp);
    pool.write(b, 0, ramp);
    pool.accumulate(a, b);
    expect(pool.read(a)).toEqual(ramp.map((value) => 2 * value));
    expect(pool.isFinite(a)).toBe(true);
    pool.write(a, 99, Float32Array.of(Number.NaN));
    expect(pool.isFinite(a)).toBe(false);
    expect(pool.isFinite(b)).toBe(true);
    pool.release(b);
    expect(pool.allocate().map((block) => block.byteOffset)).toEqual(b.map((block) => block.byteOffset));
  });
});
