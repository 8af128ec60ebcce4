import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Dd2Error } from '@dd2/core';

const PAGE_BYTES = 65_536;

interface Buffer {
  readonly values: Float32Array<ArrayBuffer>;
  /** ascending, disjoint, not touching ranges [start, end) of elements that have been written */
  written: (readonly [number, number])[];
}

/**
 * Network parameters by key. Each buffer is a plain WebAssembly memory of its own: the runtime reads it in place (it refuses
 * shared memory), and it is returned to the system as a whole.
 */
export class ParameterStore {
  private readonly buffers = new Map<string, Buffer>();
  private readonly failures = new Map<string, Dd2Error>();

  /** Copies raw float32 bytes to element `offset`. A failure is kept for the next reader of the key. */
  write(key: string, size: number, offset: number, bytes: Uint8Array): void {
    try {
      const buffer = this.bufferOf(key, size);
      new Uint8Array(buffer.values.buffer).set(bytes, offset * 4);
      buffer.written = withRange(buffer.written, offset, offset + bytes.byteLength / 4);
      this.failures.delete(key);
    } catch (cause) {
      this.buffers.delete(key);
      this.failures.set(key, new Dd2Error('INTERNAL', `Parameters of ${size} floats could not be stored`, { field: key, cause }));
    }
  }

  /** Reads the whole buffer from a file of raw float32 bytes. @throws Dd2Error ASSET_MISSING; the key then holds nothing */
  readFile(key: string, size: number, path: string): void {
    let file: number | undefined;
    try {
      file = openSync(path, 'r');
      const { size: bytes } = fstatSync(file);
      if (bytes !== size * 4) throw new Error(`the file has ${bytes} bytes, not ${size * 4}`);
      const buffer = this.bufferOf(key, size);
      const target = new Uint8Array(buffer.values.buffer, 0, bytes);
      buffer.written = [];
      for (let read = 0; read < bytes; ) {
        const count = readSync(file, target, read, bytes - read, read);
        if (count === 0) throw new Error('the file ends early');
        read += count;
      }
      buffer.written = [[0, size]];
      this.failures.delete(key);
    } catch (cause) {
      this.drop(key);
      throw new Dd2Error('ASSET_MISSING', `Parameters cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { field: path, cause });
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  drop(key: string): void {
    this.buffers.delete(key);
    this.failures.delete(key);
  }

  /** All elements, in place. @throws Dd2Error ASSET_MISSING (never or only partly written), INVALID_ARGUMENT (another size) */
  read(key: string, size: number): Float32Array<ArrayBuffer> {
    const failure = this.failures.get(key);
    if (failure !== undefined) throw failure;
    const buffer = this.buffers.get(key);
    const remedy = 'Write all parameters before the task';
    if (buffer === undefined) throw new Dd2Error('ASSET_MISSING', 'There are no parameters under this key', { field: key, remedy });
    if (buffer.values.length !== size) {
      throw new Dd2Error('INVALID_ARGUMENT', `The program needs ${size} parameters, the buffer has ${buffer.values.length}`, { field: key });
    }
    const missing = buffer.written.reduce((rest, [start, end]) => rest - (end - start), size);
    if (missing > 0) throw new Dd2Error('ASSET_MISSING', `${missing} of ${size} parameters have not been written`, { field: key, remedy });
    return buffer.values;
  }

  private bufferOf(key: string, size: number): Buffer {
    const present = this.buffers.get(key);
    if (present?.values.length === size) return present;
    this.buffers.delete(key);
    const pages = Math.ceil((size * 4) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = { values: new Float32Array(memory.buffer, 0, size), written: [] };
    this.buffers.set(key, buffer);
    return buffer;
  }
}

/** The ranges together with [start, end); a stream in order keeps the list at one range. */
function withRange(ranges: readonly (readonly [number, number])[], start: number, end: number): (readonly [number, number])[] {
  const apart = ranges.filter((range) => range[1] < start || range[0] > end);
  const touching = ranges.filter((range) => range[1] >= start && range[0] <= end);
  const merged = [Math.min(start, ...touching.map((range) => range[0])), Math.max(end, ...touching.map((range) => range[1]))] as const;
  return [...apart, merged].sort((a, b) => a[0] - b[0]);
}
