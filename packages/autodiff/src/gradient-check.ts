import type { DType, HostTensor } from '@dd2/core';
import { dataOf } from './graph.js';
import { Graph } from './graph.js';
import { gradients } from './gradients.js';
import { mul } from './ops/arithmetic.js';
import { cast } from './ops/elementwise.js';
import { reduceSum } from './ops/reduction.js';
import type { Tensor } from './tensor.js';
import { isFloat } from './tensor.js';

/** Test support: numeric against analytic gradients. Whoever calls says how an ONNX model is run. */

export interface RunningModel {
  run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>>;
  close(): Promise<void>;
}
export type OpenModel = (model: Uint8Array) => Promise<RunningModel>;

export interface GradientCase {
  readonly inputs: readonly HostTensor[];
  /** weights of the loss sum(output * weights), one per element of the output */
  readonly weights: HostTensor;
  readonly build: (...inputs: Tensor[]) => Tensor;
}

/** How far one input's gradient is from the reference, relative to the largest reference value (at least 0.05). */
export interface GradientError {
  readonly input: number;
  readonly error: number;
}

export interface AnalyticResult {
  readonly output: HostTensor;
  /** per input; undefined for inputs that are not floating-point */
  readonly gradients: readonly (HostTensor | undefined)[];
}

function forward(graph: Graph, { inputs, build }: GradientCase): { leaves: Tensor[]; output: Tensor } {
  const leaves = inputs.map(({ shape, dtype }, i) => graph.input(`input${i}`, shape, dtype));
  return { leaves, output: build(...leaves) };
}

function feedsOf(inputs: readonly HostTensor[]): Record<string, HostTensor> {
  return Object.fromEntries(inputs.map((tensor, i) => [`input${i}`, tensor]));
}

/** The output and the gradients of sum(output * weights) as the rules of the table give them. */
export async function analyticGradients(check: GradientCase, open: OpenModel): Promise<AnalyticResult> {
  const graph = new Graph('analytic');
  const { leaves, output } = forward(graph, check);
  const weights = cast(graph.constant(check.weights.data, check.weights.shape), output.dtype);
  const wrt = leaves.filter((leaf) => isFloat(leaf.dtype));
  const results = gradients(reduceSum(mul(output, weights)), wrt);
  graph.output('output', output);
  results.forEach((result, i) => graph.output(`gradient${i}`, result));
  const model = await open(graph.toOnnx());
  try {
    const fetched = await model.run(feedsOf(check.inputs));
    return {
      output: fetched['output'] ?? check.weights,
      gradients: leaves.map((leaf) => fetched[`gradient${wrt.indexOf(leaf)}`]),
    };
  } finally {
    await model.close();
  }
}

/**
 * Fourth-order central differences of sum(output * weights), which is added up in float64 so that only the
 * operation itself rounds to float32: f' = (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h.
 */
export async function numericGradients(check: GradientCase, open: OpenModel, step = 0.02): Promise<(Float64Array | undefined)[]> {
  const graph = new Graph('numeric');
  graph.output('output', forward(graph, check).output);
  const model = await open(graph.toOnnx());
  const weights = Array.from(check.weights.data, Number);
  const loss = async (inputs: readonly HostTensor[]): Promise<number> => {
    const output = (await model.run(feedsOf(inputs)))['output'];
    return weights.reduce((sum, weight, i) => sum + weight * Number(output?.data[i]), 0);
  };
  try {
    const results: (Float64Array | undefined)[] = [];
    for (const [position, input] of check.inputs.entries()) {
      if (!isFloat(input.dtype)) {
        results.push(undefined);
        continue;
      }
      const moved = async (element: number, by: number): Promise<number> => {
        const values = Array.from(input.data, Number);
        values[element] = (values[element] ?? 0) + by;
        return loss(check.inputs.with(position, { ...input, data: dataOf(input.dtype, values) }));
      };
      const gradient = new Float64Array(input.data.length);
      for (let i = 0; i < gradient.length; i++) {
        const near = (await moved(i, step)) - (await moved(i, -step));
        const far = (await moved(i, 2 * step)) - (await moved(i, -2 * step));
        gradient[i] = (8 * near - far) / (12 * step);
      }
      results.push(gradient);
    }
    return results;
  } finally {
    await model.close();
  }
}

/** The largest difference, relative to the largest reference value (at least 0.05). */
export function relativeError(values: ArrayLike<number | bigint>, reference: ArrayLike<number | bigint>): number {
  if (values.length !== reference.length) return Infinity;
  let scale = 0.05;
  let difference = 0;
  for (let i = 0; i < reference.length; i++) {
    scale = Math.max(scale, Math.abs(Number(reference[i])));
    const distance = Math.abs(Number(values[i]) - Number(reference[i]));
    difference = Number.isNaN(distance) ? Infinity : Math.max(difference, distance);
  }
  return difference / scale;
}

/** Compares the rules' gradients with finite differences, one error per floating-point input. */
export async function checkGradients(check: GradientCase, open: OpenModel, step?: number): Promise<GradientError[]> {
  const analytic = await analyticGradients(check, open);
  const numeric = await numericGradients(check, open, step);
  return numeric.flatMap((reference, input) => {
    const gradient = analytic.gradients[input];
    return reference === undefined ? [] : [{ input, error: relativeError(gradient?.data ?? [], reference) }];
  });
}

/** A host tensor from plain numbers. */
export function hostTensor(values: readonly number[], shape: readonly number[], dtype: DType = 'float32'): HostTensor {
  return { dtype, shape, data: dataOf(dtype, values) };
}
