import { Kernels } from './kernels.js';
import type { Block } from './arena.js';

/** Elements of one bank, 256 MiB: a bank's memory then has room for a reduction tree of depth 14. */
const BANK_FLOATS = 2 ** 26;

/** A flat vector, cut into one block per bank. */
export type Vector = readonly Block[];

/**
 * Vectors of one size and the sums of them. Element i lives in bank floor(i / BANK_FLOATS), each bank in a memory of its own,
 * because one WebAssembly memory ends at 4 GiB.
 */
export class VectorPool {
  private readonly banks: readonly { readonly kernels: Kernels; readonly start: number; readonly length: number }[];

  constructor(
    readonly size: number,
    bankFloats = BANK_FLOATS,
  ) {
    this.banks = Array.from({ length: Math.ceil(size / bankFloats) }, (_, bank) => {
      const start = bank * bankFloats;
      return { kernels: Kernels.create(), start, length: Math.min(bankFloats, size - start) };
    });
  }

  /** A vector of undefined content. */
  allocate(): Vector {
    return this.banks.map(({ kernels, length }) => kernels.allocate(length));
  }

  release(vector: Vector): void {
    this.eachBank(vector, ({ kernels }, block) => kernels.release(block));
  }

  /** vector[offset ...] = values */
  write(vector: Vector, offset: number, values: Float32Array): void {
    this.eachBank(vector, ({ start, length }, block) => {
      const from = Math.max(offset, start);
      const to = Math.min(offset + values.length, start + length);
      if (from < to) block.view().set(values.subarray(from - offset, to - offset), from - start);
    });
  }

  /** vector[from ... to) = 0 */
  clear(vector: Vector, from: number, to: number): void {
    this.eachBank(vector, ({ start, length }, block) => {
      block.view().fill(0, Math.max(from - start, 0), Math.min(Math.max(to - start, 0), length));
    });
  }

  /** dst += src */
  accumulate(dst: Vector, src: Vector): void {
    this.eachBank(dst, ({ kernels }, block, bank) => {
      const other = src[bank];
      if (other !== undefined) kernels.accumulate(block, other);
    });
  }

  isFinite(vector: Vector): boolean {
    let finite = true;
    this.eachBank(vector, ({ kernels }, block) => {
      finite &&= kernels.isFinite(block);
    });
    return finite;
  }

  /** A copy in an array buffer of its own. */
  read(vector: Vector): Float32Array<ArrayBuffer> {
    const values = new Float32Array(this.size);
    this.eachBank(vector, ({ start }, block) => values.set(block.view(), start));
    return values;
  }

  private eachBank(vector: Vector, visit: (bank: VectorPool['banks'][number], block: Block, index: number) => void): void {
    this.banks.forEach((bank, index) => {
      const block = vector[index];
      if (block !== undefined) visit(bank, block, index);
    });
  }
}
