import { readFileSync } from 'node:fs';
import { Dd2Error, type DType } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { type GradientCase, analyticGradients, checkGradients, hostTensor, relativeError } from './gradient-check.js';
import { gradients } from './gradients.js';
import { Graph } from './graph.js';
import { type Operation } from './operation.js';
import { apply, sameType } from './ops/apply.js';
import { add, arithmetic, greater, mul } from './ops/arithmetic.js';
import { convolution, maxPool2d } from './ops/convolution.js';
import { cast, elementwise, exp, tanh } from './ops/elementwise.js';
import { gradientCases, notDifferentiable } from './ops/gradient-cases.js';
import { indexing } from './ops/indexing.js';
import { matrix } from './ops/matrix.js';
import { layerNorm, normalization } from './ops/normalization.js';
import { reduceSum, reduction } from './ops/reduction.js';
import { shape } from './ops/shape.js';
import { stopGradient } from './ops/stop-gradient.js';
import { openOnCpu } from './run-on-cpu.js';
import type { Tensor } from './tensor.js';

interface PackedTensor {
  dtype: DType;
  shape: number[];
  values: number[];
}
interface Fixture {
  inputs: PackedTensor[];
  weights: PackedTensor;
  output: PackedTensor;
  gradients: (PackedTensor | null)[];
}

const fixtures = JSON.parse(readFileSync(new URL('../fixtures/gradients.json', import.meta.url), 'utf8')) as Record<string, Fixture>;
const unpack = ({ values, shape: dimensions, dtype }: PackedTensor) => hostTensor(values, dimensions, dtype);

function caseOf(name: string, build: GradientCase['build'] | undefined = gradientCases[name]): GradientCase {
  const fixture = fixtures[name];
  if (fixture === undefined || build === undefined) throw new Error(`no case ${name}`);
  return { inputs: fixture.inputs.map(unpack), weights: unpack(fixture.weights), build };
}

describe('agrees with PyTorch in float64', () => {
  it.each(Object.entries(fixtures))('%s', async (name, fixture) => {
    const { output, gradients: found } = await analyticGradients(caseOf(name), openOnCpu);
    expect(output.shape).toEqual(fixture.output.shape);
    expect(relativeError(output.data, fixture.output.values)).toBeLessThan(5e-6);
    fixture.gradients.forEach((expected, i) => {
      expect(found[i]?.shape).toEqual(expected?.shape);
      if (expected !== null) expect(relativeError(found[i]?.data ?? [], expected.values)).toBeLessThan(5e-6);
    });
  });
});

describe('agrees with finite differences', () => {
  it.each(Object.keys(fixtures).filter((name) => !notDifferentiable.has(name)))('%s', async (name) => {
    for (const { error } of await checkGradients(caseOf(name), openOnCpu)) expect(error).toBeLessThan(5e-4);
  });
});

describe('the checker', () => {
  const broken = (row: Operation, wrong: (correct: Tensor) => Tensor): Operation => ({
    ...row,
    gradient: (view) => {
      if (typeof row.gradient !== 'function') return [];
      return row.gradient(view).map((thunk) => thunk && (() => wrong(thunk())));
    },
  });

  it.each([
    ['a factor', (correct: Tensor) => mul(correct, 1.01)],
    ['a sign', (correct: Tensor) => mul(correct, -1)],
    ['an offset', (correct: Tensor) => add(correct, 0.01)],
  ])('reports a rule that is wrong by %s', async (_, wrong) => {
    const row = broken(elementwise.Tanh, wrong);
    const errors = await checkGradients(caseOf('tanh', (x) => apply(row, [x ?? missing()])), openOnCpu);
    expect(errors[0]?.error).toBeGreaterThan(2e-3);
  });

  it('reports one wrong input of two', async () => {
    const row: Operation = {
      ...matrix.MatMul,
      gradient: (view) => [() => view.sumToInput(mul(view.input(0), 1), 0), ...correctThunks(matrix.MatMul, view).slice(1)],
    };
    const errors = await checkGradients(caseOf('matmul', (a, b) => apply(row, [a ?? missing(), b])), openOnCpu);
    expect(errors[0]?.error).toBeGreaterThan(0.1);
    expect(errors[1]?.error).toBeLessThan(5e-4);
  });
});

function correctThunks(row: Operation, view: Parameters<Exclude<Operation['gradient'], 'zero' | undefined>>[0]) {
  return typeof row.gradient === 'function' ? row.gradient(view) : [];
}

function missing(): never {
  throw new Error('the case has no such input');
}

describe('gradients', () => {
  it('covers every row with a rule by a case', async () => {
    const used = new Set<string>();
    for (const name of Object.keys(fixtures)) {
      const graph = new Graph(name);
      const { inputs, build } = caseOf(name);
      build(...inputs.map((tensor, i) => graph.input(`${i}`, tensor.shape, tensor.dtype)));
      for (const node of graph.nodes) used.add(node.operation.type);
    }
    const tables = [arithmetic, elementwise, matrix, shape, reduction, normalization, indexing, convolution];
    const differentiable = tables.flatMap((table) => Object.values<Operation>(table)).filter((row) => typeof row.gradient === 'function');
    expect(differentiable.map((row) => row.type).filter((type) => !used.has(type))).toEqual([]);
  });

  it('names the operation and the node when a rule is missing', () => {
    const graph = new Graph('missing rule');
    const x = graph.input('x', [3]);
    const sinh: Operation = { type: 'Sinh', infer: sameType };
    const loss = graph.scope('head', () => reduceSum(apply(sinh, [x])));
    expect(() => gradients(loss, [x])).toThrow(Dd2Error);
    expect(() => gradients(loss, [x])).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_OPERATION',
        field: 'head/Sinh_0',
        details: { operation: 'Sinh', node: 'head/Sinh_0' },
      }),
    );
  });

  it('does not need rules off the path', () => {
    const graph = new Graph('off path');
    const [x, y] = [graph.input('x', [3]), graph.input('y', [3])];
    const sinh: Operation = { type: 'Sinh', infer: sameType };
    expect(gradients(reduceSum(mul(x, apply(sinh, [y]))), [x])).toHaveLength(1);
    expect(gradients(reduceSum(mul(x, stopGradient(apply(sinh, [x])))), [x])).toHaveLength(1);
  });

  it('refuses second derivatives of layer normalisation by name', () => {
    const graph = new Graph('second');
    const x = graph.input('x', [2, 4]);
    const [first = x] = gradients(reduceSum(exp(layerNorm(x, undefined, undefined))), [x]);
    expect(() => gradients(reduceSum(mul(first, first)), [x])).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_OPERATION', field: 'LayerNormalization_0' }),
    );
  });

  it('refuses second derivatives of max pooling by name', () => {
    const graph = new Graph('second');
    const x = graph.input('x', [1, 1, 2, 2]);
    const [first = x] = gradients(reduceSum(exp(maxPool2d(x, 2))), [x]);
    expect(() => gradients(reduceSum(mul(first, first)), [x])).toThrow(/no gradient rule for MaxUnpool/);
  });

  it('gives zeros to what the loss does not depend on', async () => {
    const graph = new Graph('unreachable');
    const [x, y, z] = [graph.input('x', [2]), graph.input('y', [3]), graph.input('z', [2])];
    const loss = reduceSum(add(x, stopGradient(z)));
    gradients(loss, [x, y, z]).forEach((gradient, i) => graph.output(`g${i}`, gradient));
    const model = await openOnCpu(graph.toOnnx());
    const result = await model.run({ x: hostTensor([1, 2], [2]), y: hostTensor([1, 2, 3], [3]), z: hostTensor([1, 2], [2]) });
    await model.close();
    expect([...(result['g0']?.data ?? [])]).toEqual([1, 1]);
    expect([...(result['g1']?.data ?? [])]).toEqual([0, 0, 0]);
    expect([...(result['g2']?.data ?? [])]).toEqual([0, 0]);
  });

  it('differentiates with respect to intermediate tensors', async () => {
    const graph = new Graph('intermediate');
    const x = graph.input('x', [2]);
    const middle = exp(x);
    const [gradient = x] = gradients(reduceSum(mul(middle, middle)), [middle]);
    graph.output('g', gradient);
    const model = await openOnCpu(graph.toOnnx());
    const result = await model.run({ x: hostTensor([0, 1], [2]) });
    await model.close();
    expect(relativeError(result['g']?.data ?? [], [2, 2 * Math.E])).toBeLessThan(1e-6);
  });

  it('differentiates its own gradients', async () => {
    const graph = new Graph('second');
    const x = graph.input('x', [2]);
    const [first = x] = gradients(reduceSum(tanh(x)), [x]);
    const [second = x] = gradients(reduceSum(first), [x]);
    graph.output('g', second);
    const model = await openOnCpu(graph.toOnnx());
    const result = await model.run({ x: hostTensor([0.3, -1.2], [2]) });
    await model.close();
    const expected = [0.3, -1.2].map((v) => -2 * Math.tanh(v) * (1 - Math.tanh(v) ** 2));
    expect(relativeError(result['g']?.data ?? [], expected)).toBeLessThan(1e-6);
  });

  it('differentiates no more than wrt needs', () => {
    const count = (wrt: (x: Tensor, w: Tensor) => Tensor[]): number => {
      const graph = new Graph('pruned');
      const [x, w] = [graph.input('x', [3, 4]), graph.input('w', [2, 4])];
      const loss = reduceSum(tanh(apply(matrix.Gemm, [tanh(x), w], { transA: { int: 0 }, transB: { int: 1 } })));
      const before = graph.nodes.length;
      gradients(loss, wrt(x, w));
      return graph.nodes.length - before;
    };
    // 1 - y^2 (2 nodes) and one Gemm; towards x a Gemm and the inner tanh's dy (1 - y^2)
    expect(count((_, w) => [w])).toBe(3);
    expect(count((x) => [x])).toBe(6);
  });

  it('refuses a loss that is not a floating-point scalar, and integer wrt', () => {
    const graph = new Graph('bad');
    const [x, i] = [graph.input('x', [2]), graph.input('i', [2], 'int64')];
    expect(() => gradients(x, [x])).toThrow(/loss of shape \[\]/);
    expect(() => gradients(reduceSum(i), [x])).toThrow(/floating-point loss/);
    expect(() => gradients(reduceSum(x), [i])).toThrow(/floating-point tensors/);
  });

  it('sends nothing through comparisons and integers', async () => {
    const graph = new Graph('piecewise');
    const x = graph.input('x', [2]);
    const loss = reduceSum(add(cast(greater(x, 0), 'float32'), cast(cast(x, 'int64'), 'float32')));
    const before = graph.nodes.length;
    gradients(loss, [x]);
    expect(graph.nodes.slice(before).map((node) => node.operation.type)).toEqual(['Expand']);
  });
});
