import { Dd2Error, fillInteger, fillNormal, fillUniform, type DrawKey, type HostTensor, type ProgramInput, type ProgramSignature } from '@dd2/core';
import type { Tensor } from 'onnxruntime-node';
import { orderInputs } from './input-order.js';
import { bytesOf, describe, sameType, sizeOf, toOrt, zeros } from './tensors.js';

/** What the inputs of a micro-batch depend on. */
export interface InputContext {
  readonly seed: number;
  readonly update: number;
  /** global sample index of each row */
  readonly samples: Float64Array;
  /** the asset that the program knows under a name; throws if it is missing */
  readonly asset: (name: string) => HostTensor;
  /** the value that the micro-batch was given under a name; throws if it is missing */
  readonly given: (name: string) => HostTensor;
}

/** Builds the inputs of a program, into buffers that are reused: values hold until the next `fill`. */
export class Inputs {
  private readonly ordered: readonly ProgramInput[];
  private readonly buffers: ReadonlyMap<string, HostTensor>;

  /** @throws Dd2Error INVALID_ARGUMENT on inconsistent declarations */
  constructor(signature: ProgramSignature) {
    this.ordered = orderInputs(signature);
    const owned = this.ordered.filter(({ source: { kind } }) => kind !== 'asset' && kind !== 'given');
    this.buffers = new Map(owned.map((input) => [input.name, zeros(input.dtype, input.shape)]));
  }

  /** The inputs of one micro-batch by name. */
  fill(context: InputContext): Map<string, Tensor> {
    const values = new Map<string, HostTensor>();
    for (const input of this.ordered) values.set(input.name, this.value(input, context, values));
    return new Map([...values].map(([name, tensor]) => [name, toOrt(tensor)]));
  }

  /** Sets the counter of the repeated stage, in place. */
  setStep(step: number): void {
    for (const { name, source } of this.ordered) {
      if (source.kind === 'step') (this.buffers.get(name)?.data as BigInt64Array)[0] = BigInt(step);
    }
  }

  private value(input: ProgramInput, context: InputContext, values: ReadonlyMap<string, HostTensor>): HostTensor {
    const { name, source } = input;
    if (source.kind === 'asset') return whole(input, context.asset(source.asset), 'the asset');
    if (source.kind === 'given') return whole(input, context.given(source.value), 'what it was given');
    const buffer = this.buffers.get(name);
    if (buffer === undefined) throw new Dd2Error('INTERNAL', 'An input has no buffer', { field: name });
    const { data } = buffer;
    switch (source.kind) {
      case 'normal':
        fillNormal(data as Float32Array, ...counters(source, context, values));
        break;
      case 'uniform':
        fillUniform(data as Float32Array, ...counters(source, context, values));
        break;
      case 'integer':
        fillInteger(data as BigInt64Array, source.below, ...counters(source, context, values));
        break;
      case 'index':
        (data as BigInt64Array).set(Array.from(context.samples, (sample) => BigInt(source.modulo === undefined ? sample : sample % source.modulo)));
        break;
      case 'rows':
        gatherRows(buffer, input, context.asset(source.asset), indices(source.by, values));
        break;
      case 'zeros':
      case 'step':
        break;
    }
    return buffer;
  }
}

/** Draws that are addressed by an index belong to no update. */
function counters(
  source: { readonly stream: string; readonly by?: string },
  { seed, update, samples }: InputContext,
  values: ReadonlyMap<string, HostTensor>,
): [DrawKey, Float64Array] {
  const { stream, by } = source;
  return by === undefined ? [{ seed, update, stream }, samples] : [{ seed, update: 0, stream }, Float64Array.from(indices(by, values), Number)];
}

function indices(by: string, values: ReadonlyMap<string, HostTensor>): BigInt64Array {
  const tensor = values.get(by);
  if (tensor?.dtype !== 'int64') throw new Dd2Error('INTERNAL', 'An index input was not built before its reader', { field: by });
  return tensor.data as BigInt64Array;
}

function whole(input: ProgramInput, tensor: HostTensor, what: string): HostTensor {
  if (sameType(input, tensor)) return tensor;
  throw new Dd2Error('INVALID_ARGUMENT', `The program expects ${describe(input)}, ${what} is ${describe(tensor)}`, { field: input.name });
}

/** out[r] = asset[indices[r]], moved as bytes whatever the element type. */
function gatherRows(out: HostTensor, input: ProgramInput, asset: HostTensor, indices: BigInt64Array): void {
  const [rows = 0, ...rowShape] = asset.shape;
  if (!sameType(input, { dtype: asset.dtype, shape: [indices.length, ...rowShape] })) {
    throw new Dd2Error('INVALID_ARGUMENT', `The program expects ${describe(input)}, the rows of the asset are ${describe({ dtype: asset.dtype, shape: rowShape })}`, { field: input.name });
  }
  const rowBytes = sizeOf(rowShape) * asset.data.BYTES_PER_ELEMENT;
  const source = bytesOf(asset);
  const target = bytesOf(out);
  indices.forEach((index, row) => {
    const at = Number(index);
    if (at < 0 || at >= rows) throw new Dd2Error('INVALID_ARGUMENT', `Row ${at} of an asset with ${rows} rows`, { field: input.name });
    target.set(source.subarray(at * rowBytes, (at + 1) * rowBytes), row * rowBytes);
  });
}
