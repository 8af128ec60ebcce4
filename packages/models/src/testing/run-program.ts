import type { DType, HostTensor, Program, TypedArrayOf } from '@dd2/core';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** Values of a program's environment by name. */
export type Environment = ReadonlyMap<string, HostTensor>;

const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, bool: Uint8Array };

export function hostTensor<T extends DType>(dtype: T, shape: readonly number[], data: TypedArrayOf[T]): HostTensor {
  return { dtype, shape, data };
}

export function zerosOf(dtype: DType, shape: readonly number[]): HostTensor {
  return { dtype, shape, data: new arrays[dtype](shape.reduce((a, b) => a * b, 1)) };
}

/** Views of a flat parameter vector under the names that programs feed. */
export function parameterValues(program: Program, vectors: Readonly<Record<string, Float32Array>>): [string, HostTensor][] {
  return program.signature.parameters.flatMap(({ network, tensors }) => {
    const flat = vectors[network];
    if (!flat) throw new Error(`no parameters of ${network}`);
    return tensors.map(({ name, shape, offset, size }): [string, HostTensor] => [
      `${network}/${name}`,
      { dtype: 'float32', shape, data: flat.subarray(offset, offset + size) },
    ]);
  });
}

/**
 * Runs a program in this thread with the given input values in place of what the sources would draw. Inputs that are left out
 * must be zeros or the step. Returns the whole environment.
 */
export async function runProgram(program: Program, inputs: Iterable<[string, HostTensor]>): Promise<Environment> {
  const { signature, graphs } = program;
  const environment = new Map<string, HostTensor>(inputs);
  for (const { name, dtype, shape, source } of signature.inputs) {
    if (source.kind === 'zeros' && !environment.has(name)) environment.set(name, zerosOf(dtype, shape));
  }
  for (const stage of signature.stages) {
    const model = graphs[stage.graph];
    if (!model) throw new Error(`no graph ${stage.graph}`);
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
    const { from, to } = stage.repeat ?? { from: 0, to: 1 };
    for (let step = from; step < to; step++) {
      for (const { name, source } of signature.inputs) {
        if (source.kind === 'step') environment.set(name, { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(step)) });
      }
      const feeds = Object.fromEntries(Object.entries(stage.feeds).map(([input, value]) => [input, toOnnx(valueOf(environment, value))]));
      const outputs = await session.run(feeds, Object.keys(stage.fetches));
      for (const [output, value] of Object.entries(stage.fetches)) {
        const tensor = outputs[output];
        if (!tensor) throw new Error(`no output ${output}`);
        environment.set(value, { dtype: tensor.type as DType, shape: tensor.dims, data: tensor.data as TypedArrayOf[DType] });
      }
    }
    await session.release();
  }
  return environment;
}

/** @throws {Error} when the environment has no such value */
export function valueOf(environment: Environment, name: string): HostTensor {
  const value = environment.get(name);
  if (value) return value;
  throw new Error(`no value ${name} among ${[...environment.keys()].join(', ')}`);
}

/** The elements as numbers. */
export function numbersOf(value: HostTensor): number[] {
  return Array.from<number | bigint, number>(value.data, Number);
}

/** The gradient of a program, by tensor. */
export function gradientOf(program: Program, environment: Environment): Map<string, Float32Array> {
  const gradient = program.signature.gradient;
  return new Map(
    (gradient?.tensors ?? []).map(({ value }) => [value.replace('gradient/', ''), valueOf(environment, value).data as Float32Array]),
  );
}

function toOnnx({ dtype, shape, data }: HostTensor): Tensor {
  return new Tensor(dtype, data, shape);
}
