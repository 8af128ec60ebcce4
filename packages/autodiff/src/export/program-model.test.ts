import { fromBinary } from '@bufbuild/protobuf';
import { Dd2Error, type HostTensor, type Program, type ProgramInput, type ProgramSignature, type ProgramStage } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { ModelProtoSchema, type ValueInfoProto } from '../gen/onnx_pb.js';
import { add, gather, Graph, matmul, mul, reduceSum, reshape, where, equal } from '../index.js';
import { openOnCpu } from '../run-on-cpu.js';
import { encodeProgramModel, type ProgramModelOptions } from './program-model.js';

const layout = { network: 'net', size: 6, tensors: [{ name: 'weight', shape: [3, 2], offset: 0, size: 6 }] };
const weight = Float32Array.of(1, 2, 3, 4, 5, 6);
const base: ProgramModelOptions = { name: 'test', version: '1.2.3', description: 'A test.', metadata: { run: 'r-1' }, parameters: { net: weight }, outputs: ['y'] };

const drawn = (name: string, batch: number, row: readonly number[]): ProgramInput => ({ name, dtype: 'float32', shape: [batch, ...row], source: { kind: 'normal', stream: name } });
const signature = (batch: number, parts: Partial<ProgramSignature>): ProgramSignature => ({ name: 'p', batch, parameters: [], inputs: [], stages: [], metrics: [], results: [], ...parts });
const result = (batch: number, row: readonly number[]): ProgramSignature['results'] => [{ name: 'y', value: 'y', dtype: 'float32', shape: [batch, ...row] }];

/** y = rows of x (two of them a sample) times the weight. */
function product(batch: number): Program {
  const graph = new Graph('product');
  const x = graph.input('x', [batch, 2, 3]);
  const y = matmul(reshape(x, [batch * 2, 3]), graph.input('net/weight', [3, 2]));
  graph.output('out', reshape(y, [batch, 4]));
  return {
    signature: signature(batch, { parameters: [layout], inputs: [drawn('x', batch, [2, 3])], stages: [{ graph: 0, feeds: { x: 'x', 'net/weight': 'net/weight' }, fetches: { out: 'y' } }], results: result(batch, [4]) }),
    graphs: [graph.toOnnx()],
  };
}

/** For steps `from` to 3: y[:, step] = x[:, step] + (sum of y so far) * bias[step]; another stage reads what comes out. */
function recurrence(from: number): (batch: number) => Program {
  return (batch) => {
    const graph = new Graph('step');
    const [x, y, step, bias] = [graph.input('x', [batch, 4]), graph.input('y', [batch, 4]), graph.input('step', [], 'int64'), graph.input('bias', [4])];
    const value = add(gather(x, step, 1), mul(reduceSum(y, [1]), gather(bias, step, 0)));
    graph.output('out', where(equal(graph.integers([0, 1, 2, 3]), step), reshape(value, [batch, 1]), y));
    const double = new Graph('double');
    double.output('out', mul(double.input('y', [batch, 4]), 2));
    const stages: ProgramStage[] = [
      { graph: 0, feeds: { x: 'x', y: 'y', step: 'step', bias: 'bias' }, fetches: { out: 'y' }, repeat: { from, to: 4 } },
      { graph: 1, feeds: { y: 'y' }, fetches: { out: 'y' } },
    ];
    const inputs: ProgramInput[] = [
      drawn('x', batch, [4]),
      drawn('unused', batch, [4]),
      { name: 'y', dtype: 'float32', shape: [batch, 4], source: { kind: 'zeros' } },
      { name: 'step', dtype: 'int64', shape: [], source: { kind: 'step' } },
      { name: 'bias', dtype: 'float32', shape: [4], source: { kind: 'asset', asset: 'the-bias' } },
    ];
    return { signature: signature(batch, { inputs, stages, results: result(batch, [4]) }), graphs: [graph.toOnnx(), double.toOnnx()] };
  };
}

const bias: HostTensor = { dtype: 'float32', shape: [4], data: Float32Array.of(10, 20, 30, 40) };

const encode = (build: (batch: number) => Program, options: Partial<ProgramModelOptions> = {}): Uint8Array => {
  const { bytes, chunks } = encodeProgramModel(build, { ...base, ...options });
  const model = Buffer.concat([...chunks]);
  expect(model.byteLength).toBe(bytes);
  return model;
};

async function run(model: Uint8Array, feeds: Readonly<Record<string, HostTensor>>): Promise<HostTensor> {
  const running = await openOnCpu(model);
  try {
    const { y } = await running.run(feeds);
    if (!y) throw new Error('no output y');
    return y;
  } finally {
    await running.close();
  }
}

const rows = (batch: number, row: readonly number[]): HostTensor => {
  const size = row.reduce((a, b) => a * b, batch);
  return { dtype: 'float32', shape: [batch, ...row], data: Float32Array.from({ length: size }, (_, i) => ((i * 7) % 5) - 2) };
};

function failure(act: () => unknown): Dd2Error {
  try {
    act();
  } catch (error) {
    if (error instanceof Dd2Error) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a program as one ONNX model', () => {
  it.each([1, 2, 7])('holds its parameters and takes a batch of %i', async (batch) => {
    const x = rows(batch, [2, 3]);
    const expected = Array.from({ length: batch * 4 }, (_, i) => {
      const row = Math.floor(i / 2) * 3;
      return [0, 1, 2].reduce((sum, k) => sum + Number(x.data[row + k]) * (weight[k * 2 + (i % 2)] ?? NaN), 0);
    });
    const y = await run(encode(product), { x });
    expect(y.shape).toEqual([batch, 4]);
    expect([...(y.data as Float32Array)]).toEqual(expected);
  });

  it.each([0, 2])('runs a repeated stage as a loop from step %i on, with zeros and assets inside', async (from) => {
    const model = encode(recurrence(from), { assets: { 'the-bias': bias }, parameters: {} });
    for (const batch of [1, 3]) {
      const x = rows(batch, [4]);
      const expected = Array.from({ length: batch }, (_, b) => {
        const y = [0, 0, 0, 0];
        for (let step = from; step < 4; step++) y[step] = Number(x.data[b * 4 + step]) + y.reduce((sum, value) => sum + value, 0) * Number(bias.data[step]);
        return y.map((value) => value * 2);
      }).flat();
      expect([...((await run(model, { x })).data as Float32Array)]).toEqual(expected);
    }
  });

  it('says what it is, and takes and returns what it says', () => {
    const { producerName, producerVersion, docString, metadataProps, graph } = fromBinary(ModelProtoSchema, encode(recurrence(1), { assets: { 'the-bias': bias }, meanings: { x: 'draws' } }));
    expect([producerName, producerVersion, docString]).toEqual(['dd2', '1.2.3', 'A test.']);
    expect(metadataProps.map(({ key, value }) => [key, value])).toEqual([['run', 'r-1']]);
    const shapes = (ports: readonly ValueInfoProto[]): unknown =>
      ports.map(({ name, type }) => [name, ...(type?.tensorType?.shape?.dim ?? []).map(({ dimParam, dimValue }) => (dimParam === '' ? Number(dimValue) : dimParam))]);
    expect(shapes(graph?.input ?? [])).toEqual([['x', 'batch', 4]]); // what nothing reads is no input
    expect(shapes(graph?.output ?? [])).toEqual([['y', 'batch', 4]]);
    expect(graph?.input[0]?.docString).toBe('draws');
  });

  it('refuses a program in which something else depends on the batch, and names it', () => {
    const mean = (batch: number): Program => {
      const graph = new Graph('mean');
      graph.output('out', mul(graph.input('x', [batch, 2, 3]), 1 / batch));
      return { signature: signature(batch, { inputs: [drawn('x', batch, [2, 3])], stages: [{ graph: 0, feeds: { x: 'x' }, fetches: { out: 'y' } }], results: result(batch, [2, 3]) }), graphs: [graph.toOnnx()] };
    };
    expect(failure(() => encode(mean))).toMatchObject({ code: 'UNSUPPORTED_OPERATION', field: expect.stringContaining('constant') as string });
  });

  it('refuses what does not fit one file, without looking at its data', () => {
    const size = 2 ** 29;
    const huge = (batch: number): Program => {
      const graph = new Graph('huge');
      graph.output('out', gather(graph.input('net/table', [size]), graph.input('class', [batch], 'int64'), 0));
      const inputs: ProgramInput[] = [{ name: 'class', dtype: 'int64', shape: [batch], source: { kind: 'index' } }];
      const parameters = [{ network: 'net', size, tensors: [{ name: 'table', shape: [size], offset: 0, size }] }];
      return { signature: signature(batch, { parameters, inputs, stages: [{ graph: 0, feeds: { 'net/table': 'net/table', class: 'class' }, fetches: { out: 'y' } }], results: result(batch, []) }), graphs: [graph.toOnnx()] };
    };
    const error = failure(() => encodeProgramModel(huge, { ...base, parameters: { net: new Float32Array(size) } }));
    expect(error).toMatchObject({ code: 'UNSUPPORTED_OPERATION', remedy: 'Export the parameters as safetensors' });
    expect(error.message).toContain('2.1 GB');
  });

  it('refuses what it was not given', () => {
    expect(failure(() => encode(product, { parameters: {} }))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'net' });
    expect(failure(() => encode(product, { parameters: { net: weight.subarray(1) } }))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'net' });
    expect(failure(() => encode(product, { outputs: ['z'] }))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'z' });
    expect(failure(() => encode(recurrence(0)))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'the-bias' });
  });

  it('refuses rows of a data set, and a loop that carries what has no first value', () => {
    const changed = (change: (input: ProgramInput) => ProgramInput[]) => (batch: number): Program => {
      const program = recurrence(0)(batch);
      return { ...program, signature: { ...program.signature, inputs: program.signature.inputs.flatMap(change) } };
    };
    const assets = { 'the-bias': bias };
    const fromRows = changed((input) => [input.name === 'x' ? { ...input, source: { kind: 'rows', asset: 'train', by: 'row' } } : input]);
    expect(failure(() => encode(fromRows, { assets }))).toMatchObject({ code: 'UNSUPPORTED_OPERATION', field: 'x' });
    const withoutStart = changed((input) => (input.name === 'y' ? [] : [input]));
    expect(failure(() => encode(withoutStart, { assets }))).toMatchObject({ code: 'UNSUPPORTED_OPERATION', field: 'y' });
  });
});
