import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fillInteger, fillNormal, fillUniform, type Dd2Error, type HostTensor } from '@dd2/core';
import { Engine, type EngineResult, type EngineTask } from '@dd2/engine';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { echoProgram, lineProgram, lookupProgram, repeatProgram } from './testing/programs.js';

const BATCH = 8;
const DIMENSION = 37;
const SIZE = DIMENSION + 4;
const parameters = Float32Array.from({ length: SIZE }, (_, i) => Math.sin(i + 1));

let engine: Engine;

function bytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.slice().buffer);
}

async function startLine(): Promise<Engine> {
  const started = await Engine.start({ provider: 'cpu', intraOpThreads: 1 });
  await started.loadProgram('line', lineProgram(BATCH, DIMENSION));
  started.writeParameters('w', SIZE, 0, bytes(parameters));
  return started;
}

function lineTask(indices: readonly number[], more: Partial<EngineTask> = {}): EngineTask {
  return { program: 'line', seed: 7, update: 3, microBatches: indices.map((index) => ({ index })), parameters: { line: 'w' }, ...more };
}

async function failure(promise: Promise<unknown>): Promise<Dd2Error> {
  return promise.then(() => expect.fail('no error'), (error: Dd2Error) => error);
}

/** The engine's arithmetic as plain loops. */
function expectedLine(first: number): { loss: number; gradient: Float64Array } {
  const samples = Array.from({ length: BATCH }, (_, row) => first + row);
  const [x, target] = [new Float32Array(BATCH * DIMENSION), new Float32Array(BATCH)];
  fillNormal(x, { seed: 7, update: 3, stream: 'x' }, samples);
  fillUniform(target, { seed: 7, update: 3, stream: 'target' }, samples);
  const gradient = new Float64Array(SIZE);
  let loss = 0;
  for (let row = 0; row < BATCH; row++) {
    const at = (i: number): number => x[row * DIMENSION + i] ?? Number.NaN;
    let error = (parameters[SIZE - 1] ?? 0) - (target[row] ?? 0);
    for (let i = 0; i < DIMENSION; i++) error += at(i) * (parameters[i] ?? 0);
    loss += error ** 2 / BATCH;
    for (let i = 0; i < DIMENSION; i++) gradient[i] = (gradient[i] ?? 0) + (2 * error * at(i)) / BATCH;
    gradient[SIZE - 1] = (gradient[SIZE - 1] ?? 0) + (2 * error) / BATCH;
  }
  return { loss, gradient };
}

function gradientOf(result: EngineResult): Float32Array {
  return result.gradient ?? expect.fail('no gradient');
}

beforeAll(async () => {
  engine = await startLine();
});
afterAll(() => engine.close());

describe('a task', () => {
  it('draws by sample index, and returns the flat gradient with zeros for frozen elements', async () => {
    const result = await engine.execute(lineTask([5], { firstSample: 1000 }));
    const { loss, gradient } = expectedLine(1000 + 5 * BATCH);
    expect(result.metrics).toHaveLength(1);
    expect(result.metrics[0]?.['loss']).toBeCloseTo(loss, 4);
    const actual = gradientOf(result);
    expect(actual).toHaveLength(SIZE);
    actual.forEach((value, i) => expect(value).toBeCloseTo(gradient[i] ?? Number.NaN, 4));
    expect([...actual.subarray(DIMENSION, DIMENSION + 3)]).toEqual([0, 0, 0]);
    expect(result.finite).toBe(true);
    expect(result.computeMs).toBeGreaterThan(0);
    expect(result.results).toEqual([{}]);
  });

  it('gives the same bits when it is repeated', async () => {
    const [a, b] = await Promise.all([engine.execute(lineTask([0, 1, 2, 3])), engine.execute(lineTask([0, 1, 2, 3]))]);
    expect(gradientOf(a)).toEqual(gradientOf(b));
    expect(a.metrics).toEqual(b.metrics);
    expect(gradientOf(a)).not.toEqual(gradientOf(await engine.execute(lineTask([0, 1, 2, 3], { update: 4 }))));
  });

  it('is written to a file instead; a file that cannot be written is named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dd2-engine-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const gradientFile = join(folder, 'gradient');
    const { gradient } = await engine.execute(lineTask([0, 1], { gradientFile }));
    expect(gradient).toBeUndefined();
    expect(new Float32Array(new Uint8Array(await readFile(gradientFile)).buffer)).toEqual((await engine.execute(lineTask([0, 1]))).gradient);
    const nowhere = join(folder, 'none', 'gradient');
    expect(await failure(engine.execute(lineTask([0], { gradientFile: nowhere })))).toMatchObject({ code: 'INTERNAL', field: nowhere, message: expect.stringContaining('ENOENT') as string });
  });

  it('sums micro-batches in the tree that separate tasks would be summed in', async () => {
    const single = await Promise.all([0, 1, 2, 3, 4, 5, 6].map(async (index) => gradientOf(await engine.execute(lineTask([index])))));
    const sum = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + (b[i] ?? 0));
    const [g0, g1, g2, g3, g4, g5, g6] = single as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
    expect(gradientOf(await engine.execute(lineTask([0, 1])))).toEqual(sum(g0, g1));
    expect(gradientOf(await engine.execute(lineTask([4, 5, 6])))).toEqual(sum(sum(g4, g5), g6));
    const all = await engine.execute(lineTask([0, 1, 2, 3, 4, 5, 6]));
    expect(gradientOf(all)).toEqual(sum(sum(sum(g0, g1), sum(g2, g3)), sum(sum(g4, g5), g6)));
    expect(all.metrics).toHaveLength(7);
  });

  it('gives the same bits in two engines that run at once', async () => {
    const other = await startLine();
    try {
      const tasks = [0, 1, 2, 3].map((index) => lineTask([index * 2, index * 2 + 1]));
      const [mine, theirs] = await Promise.all([engine, other].map((one) => Promise.all(tasks.map((task) => one.execute(task)))));
      expect(mine?.map(gradientOf)).toEqual(theirs?.map(gradientOf));
    } finally {
      await other.close();
    }
  });

  it('sees the parameters that were written before it, in whatever pieces', async () => {
    const changed = parameters.map((value) => value * 2);
    const run = (): Promise<EngineResult | Dd2Error> =>
      engine.execute(lineTask([0], { parameters: { line: 'pieces' } })).catch((error: Dd2Error) => error);
    const before = run();
    engine.writeParameters('pieces', SIZE, 30, bytes(changed.subarray(30)));
    const partly = run();
    engine.writeParameters('pieces', SIZE, 0, bytes(changed.subarray(0, 30)));
    const complete = run();
    engine.writeParameters('pieces', SIZE, 0, bytes(parameters));
    const restored = run();
    engine.dropParameters('pieces');
    const dropped = run();
    const reference = gradientOf(await engine.execute(lineTask([0])));
    expect(await before).toMatchObject({ code: 'ASSET_MISSING', field: 'pieces' });
    expect(await partly).toMatchObject({ code: 'ASSET_MISSING', message: expect.stringContaining(`30 of ${SIZE} parameters`) as string });
    expect(gradientOf((await complete) as EngineResult)).not.toEqual(reference);
    expect(gradientOf((await restored) as EngineResult)).toEqual(reference);
    expect(await dropped).toMatchObject({ code: 'ASSET_MISSING', field: 'pieces' });
  });

  it('keeps frozen elements zero after a program of the same size that is frozen elsewhere', async () => {
    await engine.loadProgram('frozen first', lineProgram(BATCH, DIMENSION, true));
    const other = gradientOf(await engine.execute(lineTask([0, 1, 2, 3], { program: 'frozen first' })));
    expect([...other.subarray(0, 3)]).toEqual([0, 0, 0]);
    expect(other[DIMENSION]).not.toBe(0);
    const gradient = gradientOf(await engine.execute(lineTask([0, 1, 2, 3])));
    expect([...gradient.subarray(DIMENSION, DIMENSION + 3)]).toEqual([0, 0, 0]);
  });

  it('reports a gradient that is not finite', async () => {
    engine.writeParameters('bad', SIZE, 0, bytes(parameters.map((value, i) => (i === 20 ? Number.NaN : value))));
    const result = await engine.execute(lineTask([0, 1], { parameters: { line: 'bad' } }));
    expect(result.finite).toBe(false);
    expect(result.metrics[0]?.['loss']).toBeNaN();
  });
});

describe('inputs', () => {
  const table: HostTensor<'uint8'> = { dtype: 'uint8', shape: [100, 2, 3], data: Uint8Array.from({ length: 600 }, (_, i) => i % 251) };
  const labels: HostTensor<'int64'> = { dtype: 'int64', shape: [100], data: BigInt64Array.from({ length: 100 }, (_, i) => BigInt(i * i)) };
  const marginals: HostTensor<'float32'> = { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };

  it('come from their declared sources', async () => {
    engine.setAsset('images', table);
    engine.setAsset('labels.v2', labels);
    engine.setAsset('marginals', marginals);
    await engine.loadProgram('echo', echoProgram(5, [
      { name: 'image', dtype: 'uint8', shape: [5, 2, 3], source: { kind: 'rows', asset: 'images', by: 'row' } },
      { name: 'label', dtype: 'int64', shape: [5], source: { kind: 'rows', asset: 'labels', by: 'row' } },
      { name: 'again', dtype: 'float32', shape: [5, 2], source: { kind: 'normal', stream: 'noise', by: 'row' } },
      { name: 'row', dtype: 'int64', shape: [5], source: { kind: 'integer', stream: 'row', below: 100 } },
      { name: 'class', dtype: 'int64', shape: [5], source: { kind: 'index', modulo: 10 } },
      { name: 'sample', dtype: 'int64', shape: [5], source: { kind: 'index' } },
      { name: 'marginals', dtype: 'float32', shape: [2, 2], source: { kind: 'asset', asset: 'marginals' } },
      { name: 'cache', dtype: 'float64', shape: [5, 1], source: { kind: 'zeros' } },
    ]));
    const task: EngineTask = { program: 'echo', seed: 11, update: 2, microBatches: [{ index: 3 }, { index: 9 }], parameters: {}, assets: { labels: 'labels.v2' }, firstSample: 3 };
    const { results, gradient, finite } = await engine.execute(task);
    expect(gradient).toBeUndefined();
    expect(finite).toBe(true);
    results.forEach((result, position) => {
      const first = 3 + 5 * (position === 0 ? 3 : 9);
      const samples = [0, 1, 2, 3, 4].map((row) => first + row);
      const row = new BigInt64Array(5);
      fillInteger(row, 100, { seed: 11, update: 2, stream: 'row' }, samples);
      const again = new Float32Array(10);
      fillNormal(again, { seed: 11, update: 0, stream: 'noise' }, Array.from(row, Number));
      expect(result['row']?.data).toEqual(row);
      expect(result['again']?.data).toEqual(again);
      expect(result['image']?.data).toEqual(Uint8Array.from([...row].flatMap((r) => [...table.data.subarray(Number(r) * 6, Number(r) * 6 + 6)])));
      expect(result['label']?.data).toEqual(row.map((r) => r * r));
      expect(result['sample']?.data).toEqual(BigInt64Array.from(samples, BigInt));
      expect(result['class']?.data).toEqual(BigInt64Array.from(samples, (sample) => BigInt(sample % 10)));
      expect(result['marginals']).toEqual(marginals);
      expect(result['cache']).toEqual({ dtype: 'float64', shape: [5, 1], data: new Float64Array(5) });
    });
    expect(table.data).toHaveLength(600);
    expect(await engine.execute(task)).toMatchObject({ results });
  });

  it('that micro-batches are given are theirs alone, and stay the caller\'s', async () => {
    await engine.loadProgram('given', echoProgram(2, [
      { name: 'x', dtype: 'float32', shape: [2, 2], source: { kind: 'given', value: 'tokens' } },
      { name: 'again', dtype: 'float32', shape: [2, 2], source: { kind: 'given', value: 'tokens' } },
    ]));
    const tokens = (from: number): HostTensor => ({ dtype: 'float32', shape: [2, 2], data: Float32Array.of(9, from, from + 1, from + 2, from + 3, 9).subarray(1, 5) });
    const given = [tokens(0), tokens(10)];
    const task: EngineTask = { program: 'given', seed: 0, update: 0, microBatches: given.map((tensor, index) => ({ index, given: { tokens: tensor } })), parameters: {} };
    const run = async (): Promise<unknown> => (await engine.execute(task)).results.map((result) => [...(result['x']?.data ?? []), ...(result['again']?.data ?? [])]);
    const expected = [[0, 1, 2, 3, 0, 1, 2, 3], [10, 11, 12, 13, 10, 11, 12, 13]];
    expect(await run()).toEqual(expected);
    expect(await run()).toEqual(expected);
    expect(await failure(engine.execute({ ...task, microBatches: [{ index: 0 }] }))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'tokens', details: { microBatch: 0 } });
    const wrong = { index: 1, given: { tokens: { dtype: 'float32', shape: [4], data: Float32Array.of(1, 2, 3, 4) } } } as const;
    expect((await failure(engine.execute({ ...task, microBatches: [wrong] }))).message).toContain('expects float32 [2, 2], what it was given is float32 [4]');
  });

  it('that cannot be had are named', async () => {
    await engine.loadProgram('missing', echoProgram(1, [{ name: 'x', dtype: 'float32', shape: [2], source: { kind: 'asset', asset: 'nowhere' } }]));
    const task = { program: 'missing', seed: 0, update: 0, microBatches: [{ index: 0 }], parameters: {} };
    expect(await failure(engine.execute(task))).toMatchObject({ code: 'ASSET_MISSING', field: 'nowhere', details: { program: 'missing', microBatch: 0 } });
    engine.setAsset('nowhere', marginals);
    expect((await failure(engine.execute(task))).message).toContain('expects float32 [2], the asset is float32 [2, 2]');
    expect(() => engine.setAsset('short', { ...marginals, shape: [5] })).toThrow(/5 elements, not 4/);
    engine.dropAsset('nowhere');
    engine.dropAsset('unknown');
    expect(await failure(engine.execute(task))).toMatchObject({ code: 'ASSET_MISSING', field: 'nowhere' });
  });

  it('whose row does not exist are named', async () => {
    engine.setAsset('few', { dtype: 'int64', shape: [3], data: BigInt64Array.of(1n, 2n, 3n) });
    await engine.loadProgram('rows', echoProgram(4, [
      { name: 'by', dtype: 'int64', shape: [4], source: { kind: 'index' } },
      { name: 'x', dtype: 'int64', shape: [4], source: { kind: 'rows', asset: 'few', by: 'by' } },
    ]));
    const error = await failure(engine.execute({ program: 'rows', seed: 0, update: 0, microBatches: [{ index: 0 }], parameters: {} }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'x' });
    expect(error.message).toContain('Row 3 of an asset with 3 rows');
  });
});

describe('stages', () => {
  it.each([[1, 4, 11n], [0, 1, 0n], [3, 3, 0n], [5, 7, 16n]])('repeat from %i to %i', async (from, to, expected) => {
    await engine.loadProgram('repeat', repeatProgram(from, to));
    const { results } = await engine.execute({ program: 'repeat', seed: 0, update: 0, microBatches: [{ index: 0 }, { index: 1 }], parameters: {} });
    expect(results).toHaveLength(2);
    for (const result of results) {
      expect(result['double']?.data).toEqual(BigInt64Array.of(2n * expected, 2n * expected));
      expect(result['half']?.data).toEqual(BigInt64Array.of(expected, expected));
    }
  });

  it('that fail are named, and the engine goes on', async () => {
    const task = { program: 'lookup', seed: 0, update: 1, microBatches: [{ index: 2 }], parameters: {} };
    await engine.loadProgram('lookup', lookupProgram(1000));
    const error = await failure(engine.execute(task));
    expect(error).toMatchObject({ name: 'Dd2Error', code: 'INTERNAL', details: { program: 'lookup', name: 'test.lookup', stage: 1, microBatch: 2, update: 1 } });
    expect(error.message).toMatch(/out of data bounds/);
    await engine.loadProgram('lookup', lookupProgram(3));
    expect((await engine.execute(task)).results[0]?.['rows']?.shape).toEqual([8, 8]);
  });
});

describe('what cannot be done is refused with a typed error', () => {
  it('for programs that are not there', async () => {
    expect(await failure(engine.execute({ ...lineTask([0]), program: 'ghost' }))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'ghost' });
    await engine.loadProgram('gone', lineProgram(2, 2));
    await engine.unloadProgram('gone');
    await engine.unloadProgram('never');
    expect(await failure(engine.execute({ ...lineTask([0]), program: 'gone' }))).toMatchObject({ field: 'gone' });
  });

  it('for graphs that are none, and for stages that do not fit their graph', async () => {
    const line = lineProgram(2, 2);
    expect(await failure(engine.loadProgram('x', { ...line, graphs: [Uint8Array.of(1, 2, 3)] }))).toMatchObject({ code: 'UNSUPPORTED_OPERATION', details: { program: 'test.line', graph: 0 } });
    expect(await failure(engine.loadProgram('x', { ...line, graphs: [] }))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'graph' });
    const [stage] = line.signature.stages;
    const withStage = (change: object) => ({ ...line, signature: { ...line.signature, stages: [{ ...(stage ?? expect.fail()), ...change }] } });
    expect(await failure(engine.loadProgram('x', withStage({ feeds: { x: 'x' } })))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'target' });
    expect(await failure(engine.loadProgram('x', withStage({ feeds: { ...stage?.feeds, more: 'x' } })))).toMatchObject({ field: 'more' });
    expect(await failure(engine.loadProgram('x', withStage({ fetches: { ...stage?.fetches, ghost: 'y' } })))).toMatchObject({ field: 'ghost' });
    expect(await failure(engine.loadProgram('x', withStage({ feeds: { ...stage?.feeds, x: 'line/ghost' } })))).toMatchObject({ field: 'line/ghost' });
  });

  it('for parameters', async () => {
    expect(await failure(engine.execute(lineTask([0], { parameters: {} })))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'parameters.line' });
    expect(await failure(engine.execute(lineTask([0], { parameters: { line: 'none' } })))).toMatchObject({ code: 'ASSET_MISSING', field: 'none' });
    engine.writeParameters('short', 2, 0, bytes(Float32Array.of(1, 2)));
    expect((await failure(engine.execute(lineTask([0], { parameters: { line: 'short' } })))).message).toContain(`needs ${SIZE} parameters, the buffer has 2`);
    expect(() => engine.writeParameters('w', SIZE, SIZE - 1, new Uint8Array(8))).toThrow(/do not fit/);
    expect(() => engine.writeParameters('w', SIZE, 0, new Uint8Array(7))).toThrow(/do not fit/);
  });

  it('for micro-batches that are no subtree', async () => {
    for (const indices of [[], [1, 2], [0, 2], [1, 0], [2, 3, 4, 5]]) {
      expect(await failure(engine.execute(lineTask(indices)))).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'microBatches' });
    }
  });
});

describe('an engine', () => {
  it('says how to get a provider that it cannot have', async () => {
    for (const provider of ['webgpu', 'cuda'] as const) {
      const outcome = await Engine.start({ provider, intraOpThreads: 1 }).catch((error: Dd2Error) => error);
      if (outcome instanceof Engine) await outcome.close();
      else {
        expect(outcome).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', field: 'provider', details: { provider } });
        expect(outcome.remedy).toContain('"cpu"');
      }
    }
    await expect(Engine.start({ provider: 'cpu', intraOpThreads: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'intraOpThreads' });
  });

  it('finishes its work before it closes, and refuses more', async () => {
    const short = await startLine();
    const last = short.execute(lineTask([0]));
    const closed = [short.close(), short.close()];
    expect(await failure(short.execute(lineTask([0])))).toMatchObject({ code: 'CANCELLED' });
    await Promise.all(closed);
    expect(gradientOf(await last)).toEqual(gradientOf(await engine.execute(lineTask([0]))));
    expect(await failure(short.execute(lineTask([0])))).toMatchObject({ code: 'CANCELLED' });
    expect(() => short.dropParameters('w')).toThrow(/closed/);
    await short.close();
  });

  it('takes the buffers of parameters without copying them', () => {
    const large = new Uint8Array(4 * 100_000);
    engine.writeParameters('large', 100_000, 0, large);
    expect(large.byteLength).toBe(0);
    const small = Buffer.from('0123');
    engine.writeParameters('large', 100_000, 5, small);
    expect(small.toString()).toBe('0123');
    engine.dropParameters('large');
  });
});
