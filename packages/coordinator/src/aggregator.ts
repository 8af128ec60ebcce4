import type { Block, Kernels } from '@dd2/engine';
import type { OptimizerSpec } from '@dd2/core';
import { ReductionTree, type Span } from './reduction-tree.js';
import { ShardSnapshots } from './shard-snapshots.js';

/**
 * A network's parameters are one flat float32 vector, cut into shards: the unit of streaming, reducing, optimizing,
 * publishing and checkpointing. A gradient chunk on the wire is exactly one shard.
 */
export const SHARD_FLOATS = 256 * 1024;
export const SHARD_BYTES = SHARD_FLOATS * 4;

export function shardCount(size: number): number {
  return Math.ceil(size / SHARD_FLOATS);
}

export function shardLength(size: number, shard: number): number {
  return Math.min(SHARD_FLOATS, size - shard * SHARD_FLOATS);
}

/** One optimizer step, as the schedule planned it. */
export interface OptimizerStep {
  readonly network: string;
  readonly learningRate: number;
  readonly optimizer: OptimizerSpec;
  /** optimizer steps of this network before this one */
  readonly step: number;
  /** factor that turns the summed gradient into the clipped mean */
  readonly gradientScale: number;
  /** the moving average that follows the parameters */
  readonly ema?: { readonly vector: string; readonly decay: number } | undefined;
}

/**
 * Holds some shards of every vector of a run in one WebAssembly memory, and reduces, optimizes and reads them there.
 * Vectors have names: `generator`, `generator.m`, `generator_ema`, ...
 */
export class Aggregator {
  readonly #vectors = new Map<string, Map<number, Block>>();
  readonly #spare = new Map<number, Block[]>();
  readonly #snapshots = new ShardSnapshots();
  #reduction: { readonly update: number; readonly network: string; readonly trees: Map<number, ReductionTree<Block>> } | undefined;

  constructor(readonly kernels: Kernels) {}

  /** Sets one shard of a vector, allocating it at first use. */
  load(vector: string, shard: number, data: Float32Array): void {
    this.#changing(vector, shard, data.length).view().set(data);
  }

  /** Vector `to` becomes a copy of `from`. */
  copy(from: string, to: string): void {
    for (const [shard, block] of this.#require(from)) this.kernels.copy(this.#changing(to, shard, block.length), block);
  }

  /** Vector `name` becomes zeros in the shape of `like`. */
  zero(name: string, like: string): void {
    for (const [shard, block] of this.#require(like)) this.#changing(name, shard, block.length).view().fill(0);
  }

  /** Opens the reduction of an update; what is left of the one before is given back. */
  open(update: number, network: string, microBatches: number): void {
    for (const tree of this.#reduction?.trees.values() ?? []) tree.clear();
    const trees = new Map<number, ReductionTree<Block>>();
    for (const [shard] of this.#require(network)) {
      trees.set(
        shard,
        new ReductionTree<Block>(microBatches, {
          merge: (left, right) => {
            this.kernels.addInto(left, left, right);
            this.#release(right);
            return left;
          },
          release: (block) => this.#release(block),
        }),
      );
    }
    this.#reduction = { update, network, trees };
  }

  /**
   * Adds one shard of the gradient of micro-batches [from, to), which `fill` writes into place, if it is finite. Returns the
   * sum of squares of the shard's total once the last one is in. Contributions to another update than the open one are ignored.
   */
  contribute(update: number, span: Span, shard: number, fill: (target: Float32Array) => void): { readonly finite: boolean; readonly sumOfSquares?: number | undefined } {
    const tree = this.#reduction?.update === update ? this.#reduction.trees.get(shard) : undefined;
    if (!tree || tree.root) return { finite: true };
    const block = this.#acquire(this.#existing(this.#reduction?.network ?? '', shard).length);
    try {
      fill(block.view());
    } catch (error) {
      this.#release(block);
      throw error;
    }
    if (!this.kernels.isFinite(block)) {
      this.#release(block);
      return { finite: false };
    }
    tree.offer(span, block);
    return { finite: true, sumOfSquares: tree.root && this.kernels.sumOfSquares(tree.root) };
  }

  /** Shards of the open reduction that live here. */
  get reducing(): number[] {
    return [...(this.#reduction?.trees.keys() ?? [])];
  }

  /** AdamW on every shard, then the moving average; the sum stays until the next `open`. */
  optimize(step: OptimizerStep): void {
    for (const [shard, parameters] of this.#require(step.network)) {
      const gradient = this.#reduction?.trees.get(shard)?.root;
      if (!gradient) throw new RangeError(`shard ${shard} of ${step.network} is not reduced yet`);
      const [first, second] = [this.#existing(`${step.network}.m`, shard), this.#existing(`${step.network}.v`, shard)];
      for (const block of [parameters, first, second]) this.#snapshots.beforeChange(block);
      this.kernels.adamw(parameters, gradient, first, second, {
        lr: step.learningRate,
        beta1: step.optimizer.betas[0],
        beta2: step.optimizer.betas[1],
        epsilon: step.optimizer.epsilon,
        weightDecay: step.optimizer.weightDecay,
        step: step.step + 1,
        gradientScale: step.gradientScale,
      });
      if (!step.ema) continue;
      const average = this.#existing(step.ema.vector, shard);
      this.#snapshots.beforeChange(average);
      this.kernels.ema(average, parameters, step.ema.decay);
    }
  }

  /** Views of the vector's shards, by shard index; valid until the next allocation. */
  views(vector: string): Map<number, Float32Array> {
    return new Map([...this.#require(vector)].map(([shard, block]) => [shard, block.view()]));
  }

  /**
   * Copies the vectors as they are now to `parts`, of which each begins with shard `first`, by and by: call `copyNext` when there
   * is nothing else to do. `complete` is called when all is copied.
   */
  snapshot(parts: Readonly<Record<string, SharedArrayBuffer>>, first: number, complete: () => void): void {
    const shards = Object.entries(parts).flatMap(([vector, part]) =>
      [...this.#require(vector)].map(([shard, block]) => ({ block, target: new Float32Array(part, (shard - first) * SHARD_BYTES, block.length) })),
    );
    this.#snapshots.take(shards, complete);
  }

  /** Goes on with the open snapshots. @returns whether there is more to copy */
  copyNext(): boolean {
    return this.#snapshots.copyNext();
  }

  #require(vector: string): Map<number, Block> {
    const shards = this.#vectors.get(vector);
    if (!shards) throw new RangeError(`no vector "${vector}" is loaded`);
    return shards;
  }

  #existing(vector: string, shard: number): Block {
    const block = this.#require(vector).get(shard);
    if (!block) throw new RangeError(`vector "${vector}" has no shard ${shard} here`);
    return block;
  }

  /** The shard, made at first use, whose content is about to change. */
  #changing(vector: string, shard: number, length: number): Block {
    const shards = this.#vectors.get(vector) ?? new Map<number, Block>();
    this.#vectors.set(vector, shards);
    const block = shards.get(shard) ?? this.kernels.allocate(length);
    shards.set(shard, block);
    this.#snapshots.beforeChange(block);
    return block;
  }

  #acquire(length: number): Block {
    return this.#spare.get(length)?.pop() ?? this.kernels.allocate(length);
  }

  #release(block: Block): void {
    const spare = this.#spare.get(block.length) ?? [];
    this.#spare.set(block.length, spare);
    spare.push(block);
  }
}
