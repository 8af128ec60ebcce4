import { readFileSync } from 'node:fs';
import { Dd2Error } from '@dd2/core';
import { Arena, type Block } from './arena.js';

export interface AdamWOptions {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** decoupled weight decay: parameters shrink by `lr * weightDecay` before the step */
  readonly weightDecay: number;
  /** number of this step, counted from 1 (bias correction) */
  readonly step: number;
  /** every gradient element is multiplied by it first: mean over micro-batches, global-norm clip (default 1) */
  readonly gradientScale?: number;
}

/** What the compiled module exports (assembly/kernels.ts): byte offsets and element counts. */
interface KernelExports {
  addInto(dst: number, a: number, b: number, count: number): void;
  scale(dst: number, count: number, factor: number): void;
  sumOfSquares(src: number, count: number): number;
  nonFiniteCount(src: number, count: number): number;
  adamw(
    p: number, g: number, m: number, v: number, count: number,
    gradientScale: number, oneMinusBeta1: number, beta2: number, oneMinusBeta2: number,
    keep: number, stepSize: number, inverseRoot: number, epsilon: number,
  ): void;
  ema(target: number, source: number, count: number, rate: number): void;
  copy(dst: number, src: number, count: number): void;
}

let compiled: WebAssembly.Module | undefined;

/** Compiles the kernels once per thread; every instance has a memory of its own. */
function kernelModule(): WebAssembly.Module {
  if (compiled !== undefined) return compiled;
  const file = new URL('../dist/kernels.wasm', import.meta.url); // from src in tests, from dist otherwise
  try {
    compiled = new WebAssembly.Module(readFileSync(file));
    return compiled;
  } catch (cause) {
    throw new Dd2Error('INTERNAL', 'The WebAssembly kernels could not be loaded', {
      field: file.pathname,
      remedy: 'Run "pnpm --filter @dd2/engine run build:wasm"',
      cause,
    });
  }
}

/**
 * Reduction and optimizer kernels (WebAssembly SIMD) over float32 blocks of one memory. Operations are deterministic to the
 * last bit, on every machine. All operands of a call have the same length, else `Dd2Error` INVALID_ARGUMENT.
 */
export class Kernels {
  private constructor(
    private readonly arena: Arena,
    private readonly wasm: KernelExports,
  ) {}

  /** @throws Dd2Error INTERNAL when kernels.wasm has not been built */
  static create(): Kernels {
    const arena = new Arena();
    const instance = new WebAssembly.Instance(kernelModule(), { env: { memory: arena.memory } });
    return new Kernels(arena, instance.exports as unknown as KernelExports);
  }

  /**
   * A block of `floats` float32 elements; its content is undefined (a reused block keeps what it held).
   * Allocation may grow the memory and so detach every view taken before: call `block.view()` anew after it.
   * @throws Dd2Error INVALID_ARGUMENT beyond 4 GiB per instance
   */
  allocate(floats: number): Block {
    return this.arena.allocate(floats);
  }

  /** Gives a block back for later allocations of the same size. */
  release(block: Block): void {
    this.arena.release(block);
  }

  /** dst = a + b; dst may be a or b */
  addInto(dst: Block, a: Block, b: Block): void {
    this.wasm.addInto(dst.byteOffset, a.byteOffset, b.byteOffset, this.lengthOf(dst, a, b));
  }

  /** dst += src */
  accumulate(dst: Block, src: Block): void {
    this.wasm.addInto(dst.byteOffset, dst.byteOffset, src.byteOffset, this.lengthOf(dst, src));
  }

  /** dst *= factor */
  scale(dst: Block, factor: number): void {
    this.wasm.scale(dst.byteOffset, this.lengthOf(dst), factor);
  }

  /** Sum of squares, accumulated in float64 (eight lanes in a fixed order). */
  sumOfSquares(src: Block): number {
    return this.wasm.sumOfSquares(src.byteOffset, this.lengthOf(src));
  }

  /** Number of elements that are NaN or infinite. */
  nonFiniteCount(src: Block): number {
    return this.wasm.nonFiniteCount(src.byteOffset, this.lengthOf(src)) >>> 0;
  }

  isFinite(src: Block): boolean {
    return this.nonFiniteCount(src) === 0;
  }

  /**
   * One AdamW step in place, as `torch.optim.AdamW` (arXiv 1711.05101, algorithm 2): parameters, first moment and second
   * moment change, the gradient does not. Bias corrections are computed in float64.
   */
  adamw(parameters: Block, gradient: Block, firstMoment: Block, secondMoment: Block, options: AdamWOptions): void {
    const { lr, beta1, beta2, epsilon, weightDecay, step, gradientScale = 1 } = options;
    if (!Number.isInteger(step) || step < 1) {
      throw new Dd2Error('INVALID_ARGUMENT', `AdamW steps count from 1, got ${step}`, { field: 'step' });
    }
    this.wasm.adamw(
      parameters.byteOffset, gradient.byteOffset, firstMoment.byteOffset, secondMoment.byteOffset,
      this.lengthOf(parameters, gradient, firstMoment, secondMoment),
      gradientScale, 1 - beta1, beta2, 1 - beta2,
      1 - lr * weightDecay, lr / (1 - beta1 ** step), 1 / Math.sqrt(1 - beta2 ** step), epsilon,
    );
  }

  /** target = decay * target + (1 - decay) * source, computed as target + (1 - decay)(source - target) */
  ema(target: Block, source: Block, decay: number): void {
    this.wasm.ema(target.byteOffset, source.byteOffset, this.lengthOf(target, source), 1 - decay);
  }

  /** dst = src; the ranges may overlap */
  copy(dst: Block, src: Block): void {
    this.wasm.copy(dst.byteOffset, src.byteOffset, this.lengthOf(dst, src));
  }

  private lengthOf(first: Block, ...others: Block[]): number {
    for (const block of [first, ...others]) {
      if (!block.belongsTo(this.arena)) {
        throw new Dd2Error('INVALID_ARGUMENT', 'A block of another kernel instance lies in another memory', {
          remedy: 'Copy its view into a block of this instance',
        });
      }
      if (block.length !== first.length) {
        throw new Dd2Error('INVALID_ARGUMENT', `Blocks of different lengths: ${first.length} and ${block.length}`);
      }
    }
    return first.length;
  }
}
