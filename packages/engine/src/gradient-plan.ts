import { Dd2Error, type ProgramSignature } from '@dd2/core';
import type { Environment } from './loaded-program.js';
import { sumTree } from './reduction-tree.js';
import type { Vector, VectorPool } from './vector-pool.js';

/** Where a program's gradient tensors go in the flat vector; elements that none covers (frozen parameters) are zero. */
export class GradientPlan {
  private readonly gaps: (readonly [from: number, to: number])[] = [];

  /** @throws Dd2Error INVALID_ARGUMENT when tensors overlap or leave the vector */
  constructor(private readonly declared: NonNullable<ProgramSignature['gradient']>) {
    let end = 0;
    for (const { value, offset, size } of declared.tensors.toSorted((a, b) => a.offset - b.offset)) {
      if (offset < end || offset + size > declared.size) {
        throw new Dd2Error('INVALID_ARGUMENT', `Gradient elements [${offset}, ${offset + size}) overlap others or leave the vector of ${declared.size}`, { field: value });
      }
      if (offset > end) this.gaps.push([end, offset]);
      end = offset + size;
    }
    if (end < declared.size) this.gaps.push([end, declared.size]);
  }

  /** Elements of the flat vector. */
  get size(): number {
    return this.declared.size;
  }

  /** The tree sum of the gradients of `count` micro-batches, in a buffer of its own, and whether all its elements are finite. */
  async sum(first: number, count: number, pool: VectorPool, run: (index: number) => Promise<Environment>): Promise<{ gradient: Float32Array<ArrayBuffer>; finite: boolean }> {
    const leaf = async (index: number): Promise<Vector> => this.collect(await run(index), pool);
    const sum = await sumTree(first, count, leaf, (left, right) => {
      pool.accumulate(left, right);
      pool.release(right);
      return left;
    });
    const outcome = { gradient: pool.read(sum), finite: pool.isFinite(sum) };
    pool.release(sum);
    return outcome;
  }

  private collect(environment: Environment, pool: VectorPool): Vector {
    const vector = pool.allocate();
    for (const { value, offset, size } of this.declared.tensors) {
      const data = environment.get(value)?.data;
      if (!(data instanceof Float32Array) || data.length !== size) {
        throw new Dd2Error('INVALID_ARGUMENT', `The gradient is no float32 tensor of ${size} elements`, { field: value });
      }
      pool.write(vector, offset, data);
    }
    for (const [from, to] of this.gaps) pool.clear(vector, from, to);
    return vector;
  }
}
