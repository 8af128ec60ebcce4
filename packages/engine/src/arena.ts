import { Dd2Error } from '@dd2/core';

const PAGE_BYTES = 65_536;
/** One page below 4 GiB, so that the end of a block is still a 32-bit address. */
const MAXIMUM_PAGES = 65_535;
/** Blocks start at cache lines. */
const ALIGNMENT_FLOATS = 16;
/** The first bytes stay unused: the compiled module may place constants there. */
const FIRST_BYTE = 1024;

/** A range of float32 elements inside one arena. */
export class Block {
  /** @internal */
  constructor(
    private readonly arena: Arena,
    readonly byteOffset: number,
    /** elements */
    readonly length: number,
  ) {}

  /** The elements, in place. Valid until the next allocation (a memory that grows detaches its views). */
  view(): Float32Array<ArrayBuffer> {
    return new Float32Array(this.arena.memory.buffer, this.byteOffset, this.length);
  }

  /** The part [start, start + length) of this block, in place. It is not released on its own. */
  slice(start: number, length: number): Block {
    if (!Number.isInteger(start) || !Number.isInteger(length) || start < 0 || length < 0 || start + length > this.length) {
      throw new Dd2Error('INVALID_ARGUMENT', `Slice [${start}, ${start + length}) of a block of ${this.length} elements`);
    }
    return new Block(this.arena, this.byteOffset + 4 * start, length);
  }

  /** @internal */
  belongsTo(arena: Arena): boolean {
    return this.arena === arena;
  }
}

/** Hands out blocks of one plain WebAssembly memory; released blocks serve later requests of the same size. */
export class Arena {
  readonly memory = new WebAssembly.Memory({ initial: 1, maximum: MAXIMUM_PAGES });
  private readonly free = new Map<number, number[]>();
  private readonly live = new Set<Block>();
  private top = FIRST_BYTE;

  allocate(floats: number): Block {
    if (!Number.isInteger(floats) || floats < 0) {
      throw new Dd2Error('INVALID_ARGUMENT', `A block has a whole number of elements, got ${floats}`);
    }
    const capacity = capacityFor(floats);
    const block = new Block(this, this.free.get(capacity)?.pop() ?? this.extend(capacity), floats);
    this.live.add(block);
    return block;
  }

  release(block: Block): void {
    if (!this.live.delete(block)) {
      throw new Dd2Error('INVALID_ARGUMENT', 'This block is not allocated', {
        remedy: 'Release a block once, on the instance that allocated it, and never a slice',
      });
    }
    const capacity = capacityFor(block.length);
    const offsets = this.free.get(capacity);
    if (offsets === undefined) this.free.set(capacity, [block.byteOffset]);
    else offsets.push(block.byteOffset);
  }

  private extend(capacity: number): number {
    const start = this.top;
    const end = start + 4 * capacity;
    const pages = Math.ceil(end / PAGE_BYTES);
    const missing = pages - this.memory.buffer.byteLength / PAGE_BYTES;
    if (pages > MAXIMUM_PAGES) throw outOfMemory(capacity);
    try {
      if (missing > 0) this.memory.grow(missing);
    } catch (cause) {
      throw outOfMemory(capacity, cause);
    }
    this.top = end;
    return start;
  }
}

function capacityFor(floats: number): number {
  return Math.ceil(floats / ALIGNMENT_FLOATS) * ALIGNMENT_FLOATS;
}

function outOfMemory(floats: number, cause?: unknown): Dd2Error {
  return new Dd2Error('INVALID_ARGUMENT', `No room for a block of ${floats} floats: one kernel memory holds 4 GiB`, {
    remedy: 'Spread the shards over more instances',
    cause,
  });
}
