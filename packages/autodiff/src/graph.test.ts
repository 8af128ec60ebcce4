import type { HostTensor } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { hostTensor } from './gradient-check.js';
import { gradients } from './gradients.js';
import { Graph } from './graph.js';
import * as ad from './index.js';
import { openOnCpu } from './run-on-cpu.js';
import type { Tensor } from './tensor.js';

/** Builds, runs and returns outputs as plain numbers, with their shapes. */
async function evaluate(inputs: Record<string, HostTensor>, build: (inputs: Record<string, Tensor>) => Record<string, Tensor>) {
  const graph = new Graph('test');
  const leaves = Object.fromEntries(Object.entries(inputs).map(([name, t]) => [name, graph.input(name, t.shape, t.dtype)]));
  for (const [name, tensor] of Object.entries(build(leaves))) graph.output(name, tensor);
  const model = await openOnCpu(graph.toOnnx());
  try {
    const results = await model.run(inputs);
    for (const port of graph.outputs) {
      expect(results[port.name]?.shape).toEqual(port.shape);
      expect(results[port.name]?.dtype).toBe(port.dtype);
    }
    return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, Array.from(t.data, Number)]));
  } finally {
    await model.close();
  }
}

const input = (leaves: Record<string, Tensor>, name: string): Tensor => {
  const leaf = leaves[name];
  if (leaf === undefined) throw new Error(`no input ${name}`);
  return leaf;
};

describe('operations without gradient', () => {
  it('compares and combines', async () => {
    const x = hostTensor([1, 2, 3, 2], [4]);
    const result = await evaluate({ x }, (leaves) => {
      const a = input(leaves, 'x');
      const [small, large] = [ad.less(a, 3), ad.greater(a, 1)];
      return {
        less: small,
        greater: large,
        lessOrEqual: ad.lessOrEqual(2, a),
        equal: ad.equal(a, 2),
        both: ad.and(small, large),
        not: ad.not(small),
        chosen: ad.where(small, 1, 0),
      };
    });
    expect(result).toEqual({
      less: [1, 1, 0, 1],
      greater: [0, 1, 1, 1],
      lessOrEqual: [0, 1, 1, 1],
      equal: [0, 1, 0, 1],
      both: [0, 1, 0, 1],
      not: [0, 0, 1, 0],
      chosen: [1, 1, 0, 1],
    });
  });

  it('finds the first extreme', async () => {
    const x = hostTensor([1, 5, 5, 0, 0, 2], [2, 3]);
    const result = await evaluate({ x }, (leaves) => ({ max: ad.argMax(input(leaves, 'x'), -1), min: ad.argMin(input(leaves, 'x'), 1) }));
    expect(result).toEqual({ max: [1, 2], min: [0, 0] });
  });

  it.each(['int64', 'int32'] as const)('computes with %s', async (dtype) => {
    const x = hostTensor([0, 2, 1], [3], dtype);
    const result = await evaluate({ x, table: hostTensor([10, 11, 12], [3]) }, (leaves) => {
      const [i, table] = [input(leaves, 'x'), input(leaves, 'table')];
      return {
        sum: ad.add(ad.mul(i, 3), i),
        taken: ad.gather(table, i),
        added: ad.scatter(i, table, 4),
        hot: ad.oneHot(i, 3),
        chosen: ad.where(ad.equal(i, 2), i, ad.neg(i)),
        float: ad.cast(i, 'float32'),
        before: ad.less(i, 1),
        total: ad.reduceSum(i),
      };
    });
    expect(result).toEqual({
      sum: [0, 8, 4],
      taken: [10, 12, 11],
      added: [10, 12, 11, 0],
      hot: [1, 0, 0, 0, 0, 1, 0, 1, 0],
      chosen: [-0, 2, -1].map((v) => v + 0),
      float: [0, 2, 1],
      before: [1, 0, 0],
      total: [3],
    });
  });

  it('adds up statistics in float64', async () => {
    const x = hostTensor([1e8, 1, -1e8, 1], [2, 2]);
    const result = await evaluate({ x }, (leaves) => {
      const rows = ad.cast(input(leaves, 'x'), 'float64');
      return {
        outer: ad.matmul(ad.transpose(rows, [1, 0]), rows),
        sum: ad.reduceSum(ad.add(ad.mul(rows, 2), 1), [0]),
      };
    });
    expect(result).toEqual({ outer: [2e16, 0, 0, 2], sum: [2, 6] });
  });

  it('reads uint8 images', async () => {
    const x = hostTensor([0, 128, 255], [3], 'uint8');
    const result = await evaluate({ x }, (leaves) => ({ y: ad.div(ad.cast(input(leaves, 'x'), 'float32'), 255) }));
    expect(result['y']?.[2]).toBe(1);
  });
});

describe('Graph', () => {
  it('lists its inputs and outputs', () => {
    const graph = new Graph('ports');
    const x = graph.input('x', [2, 3]);
    graph.output('y', ad.cast(ad.argMax(x, 0), 'int32'));
    expect(graph.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [2, 3] }]);
    expect(graph.outputs).toEqual([{ name: 'y', dtype: 'int32', shape: [3] }]);
  });

  it('computes equal expressions once and shares equal constants', () => {
    const graph = new Graph('shared');
    const x = graph.input('x', [2]);
    expect(ad.exp(x)).toBe(ad.exp(x));
    expect(ad.softmax(x)).toBe(ad.softmax(x, 0));
    expect(graph.scalar(1)).toBe(graph.scalar(1));
    expect(graph.scalar(0)).not.toBe(graph.scalar(-0));
    expect(graph.scalar(1)).not.toBe(graph.scalar(1, 'int32'));
    expect(ad.stopGradient(x)).not.toBe(x);
  });

  it('spends nothing on identities', () => {
    const graph = new Graph('identities');
    const x = graph.input('x', [2, 3]);
    for (const y of [
      ad.mul(x, 1),
      ad.mul(1, x),
      ad.add(x, 0),
      ad.sub(x, 0),
      ad.div(x, 1),
      ad.pow(x, 1),
      ad.reshape(x, [2, 3]),
      ad.expand(x, [2, 3]),
      ad.transpose(x, [0, 1]),
      ad.transpose(ad.transpose(x, [1, 0]), [1, 0]),
      ad.reshape(ad.reshape(x, [6]), [2, -1]),
      ad.slice(x, 1, 0, 3),
      ad.cast(x, 'float32'),
      ad.pad(x, [0, 0, 0, 0]),
    ]) {
      expect(y).toBe(x);
    }
  });

  it('fetches one tensor under several names, inputs and constants too', async () => {
    const result = await evaluate({ x: hostTensor([3], [1]) }, (leaves) => {
      const x = input(leaves, 'x');
      const y = ad.mul(x, 2);
      return { y, again: y, stopped: ad.stopGradient(y), same: x, constant: x.graph.scalar(7), later: ad.add(y, 1) };
    });
    expect(result).toEqual({ y: [6], again: [6], stopped: [6], same: [3], constant: [7], later: [7] });
  });

  it('drops what no output needs', () => {
    const sizeOf = (extra: boolean): number => {
      const graph = new Graph('dead');
      const x = graph.input('x', [2]);
      graph.output('y', ad.exp(x));
      if (extra) gradients(ad.reduceSum(ad.tanh(ad.sin(x))), [x]);
      return graph.toOnnx().length;
    };
    expect(sizeOf(true)).toBe(sizeOf(false));
  });

  it('encodes the same graph to the same bytes', () => {
    const encode = (): Uint8Array => {
      const graph = new Graph('same');
      const x = graph.input('x', [2, 4]);
      const loss = ad.reduceMean(ad.square(ad.layerNorm(x, undefined, undefined)));
      gradients(loss, [x]).forEach((gradient) => graph.output('g', gradient));
      return graph.toOnnx();
    };
    expect(encode()).toEqual(encode());
  });

  it('refuses taken names, foreign tensors and graphs without outputs', () => {
    const graph = new Graph('one');
    const x = graph.input('x', [2]);
    expect(() => graph.input('x', [2])).toThrow(/taken/);
    expect(() => graph.output('x', ad.exp(x))).toThrow(/taken/);
    expect(() => ad.add(x, new Graph('two').input('x', [2]))).toThrow(/tensor of graph two/);
    expect(() => graph.toOnnx()).toThrow(/no outputs/);
    expect(() => graph.input('empty', [0])).toThrow(/positive integers/);
    expect(() => graph.constant(new Float32Array(3), [2])).toThrow(/has 3 values/);
  });
});

describe('gradients of broadcast operands', () => {
  it('have the shape of the operand also where every broadcast axis has size 1', async () => {
    const values = [0, 1, 2, 3, 4, 5];
    const result = await evaluate({ x: hostTensor(values, [1, 2, 3]), b: hostTensor(values, [2, 3]) }, (leaves) => {
      const b = input(leaves, 'b');
      const [gradient] = gradients(ad.reduceSum(ad.square(ad.add(input(leaves, 'x'), b)), [0, 1, 2]), [b]);
      expect(gradient?.shape).toEqual([2, 3]);
      return { gradient: gradient ?? b };
    });
    expect(result['gradient']).toEqual([0, 4, 8, 12, 16, 20]);
  });
});

describe('shape inference', () => {
  const graph = new Graph('shapes');
  const [a, b] = [graph.input('a', [2, 3]), graph.input('b', [4, 5])];
  const [images, kernel] = [graph.input('images', [1, 3, 8, 8]), graph.input('kernel', [4, 2, 3, 3])];
  const integers = graph.input('integers', [2, 3], 'int64');

  it.each<[string, RegExp, () => unknown]>([
    ['Add', /do not broadcast; inputs are float32\[2,3\], float32\[4,5\]/, () => ad.add(a, b)],
    ['Mul', /dtypes differ.*float32\[2,3\], int64\[2,3\]/, () => ad.mul(a, integers)],
    ['MatMul', /inner dimensions 3 and 4 differ/, () => ad.matmul(a, b)],
    ['Gemm', /inner dimensions 3 and 5 differ/, () => ad.linear(a, b)],
    ['Reshape', /cannot reshape to \[4,-1\]/, () => ad.reshape(a, [4, -1])],
    ['Transpose', /not a permutation/, () => ad.transpose(a, [0, 0])],
    ['Expand', /cannot expand to \[4,3\]/, () => ad.expand(a, [4, 3])],
    ['Slice', /bounds 2:4/, () => ad.slice(a, 0, 2, 4)],
    ['Split', /sizes 1 \+ 1 do not add up to axis 1/, () => ad.split(a, [1, 1], 1)],
    ['Concat', /shapes differ outside axis 0/, () => ad.concat([a, b], 0)],
    ['Pad', /must be 4 non-negative numbers/, () => ad.pad(a, [1])],
    ['Where', /condition must be bool/, () => ad.where(a, a, a)],
    ['Exp', /needs floating-point values.*Cast the input/, () => ad.exp(integers)],
    ['Gather', /indices must be int64/, () => ad.gather(a, b)],
    ['ReduceSum', /axis 2 does not exist in \[2,3\]/, () => ad.reduceSum(a, [2])],
    ['LayerNormalization', /must have shape \[3\]/, () => ad.layerNorm(a, b, undefined)],
    ['Conv', /reads 2 channels, the images have 3/, () => ad.conv2d(images, kernel)],
    ['ConvTranspose', /reads 4 channels, the images have 3/, () => ad.convTranspose2d(images, kernel)],
    ['MaxPool', /window is larger/, () => ad.maxPool2d(images, 9)],
    ['ScatterND', /updates must have shape/, () => ad.scatter(integers, b, 4)],
  ])('%s names the operation, the node and the shapes', (operation, message, build) => {
    const attempt = (): unknown => graph.scope('block', build);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ name: 'Dd2Error', code: 'INVALID_ARGUMENT' }));
    expect(attempt).toThrow(new RegExp(`^${operation}: `));
    if (operation !== 'ReduceSum') expect(attempt).toThrow(new RegExp(`\\(block/${operation}_\\d+\\)`));
  });
});
