import { Dd2Error, type HostTensor, type Program, type ProgramSignature } from '@dd2/core';
import type { EngineOptions, EngineResult, EngineTask } from './engine-task.js';
import { locate } from './error-record.js';
import type { GradientPlan } from './gradient-plan.js';
import type { InputContext } from './inputs.js';
import { LoadedProgram, type Environment } from './loaded-program.js';
import { ParameterStore } from './parameter-store.js';
import { requireSubtree } from './reduction-tree.js';
import { describe, sameType, toHost, toOrt } from './tensors.js';
import { VectorPool } from './vector-pool.js';

/** What the engine's thread holds and does. Its calls must not overlap. */
export class Executor {
  readonly parameters = new ParameterStore();
  readonly assets = new Map<string, HostTensor>();
  private readonly programs = new Map<string, LoadedProgram>();
  /** vectors for gradient sums by their size; networks of one size share them */
  private readonly pools = new Map<number, VectorPool>();

  constructor(private readonly options: EngineOptions) {}

  async load(id: string, program: Program): Promise<void> {
    const loaded = await LoadedProgram.load(program, this.options);
    await this.unload(id);
    this.programs.set(id, loaded);
  }

  async unload(id: string): Promise<void> {
    const program = this.programs.get(id);
    this.programs.delete(id);
    await program?.release();
    const sizes = new Set([...this.programs.values()].map(({ gradient }) => gradient?.size));
    for (const size of this.pools.keys()) if (!sizes.has(size)) this.pools.delete(size);
  }

  async close(): Promise<void> {
    for (const id of [...this.programs.keys()]) await this.unload(id);
  }

  /** draws and gathers -> stages -> gradient, per micro-batch; gradients are summed in the fixed tree */
  async execute(task: EngineTask): Promise<EngineResult> {
    const started = performance.now();
    const program = this.programs.get(task.program);
    if (program === undefined) {
      throw new Dd2Error('INVALID_ARGUMENT', 'There is no such program', { field: task.program, remedy: 'Load it first', details: { program: task.program } });
    }
    try {
      const parts = await this.runMicroBatches(task, program);
      return { ...parts, computeMs: performance.now() - started };
    } catch (error) {
      throw locate(error, { program: task.program, name: program.signature.name, update: task.update });
    }
  }

  private async runMicroBatches(task: EngineTask, program: LoadedProgram): Promise<Omit<EngineResult, 'computeMs'>> {
    const { signature, gradient } = program;
    const indices = task.microBatches.map((microBatch) => microBatch.index);
    const given = new Map(task.microBatches.map((microBatch) => [microBatch.index, microBatch.given ?? {}]));
    const parameters = this.parameterTensors(task, signature);
    const metrics: Record<string, number>[] = [];
    const results: Record<string, HostTensor>[] = [];

    const run = async (index: number): Promise<Environment> => {
      try {
        const inputs = new Map([...parameters, ...program.inputs.fill(this.contextOf(task, signature, index, given.get(index) ?? {}))]);
        const environment = new Map(inputs);
        await program.run(environment);
        metrics.push(readMetrics(signature, environment));
        results.push(readResults(signature, environment, inputs));
        return environment;
      } catch (error) {
        throw locate(error, { microBatch: index });
      }
    };

    if (gradient === undefined) {
      for (const index of indices) await run(index);
      return { metrics, results, finite: true };
    }
    requireSubtree(indices);
    return { ...(await this.sumGradients(gradient, indices, run)), metrics, results };
  }

  private async sumGradients(
    gradient: GradientPlan,
    [first = 0, ...others]: readonly number[],
    run: (index: number) => Promise<Environment>,
  ): Promise<{ gradient: Float32Array<ArrayBuffer>; finite: boolean }> {
    const pool = this.pools.get(gradient.size) ?? new VectorPool(gradient.size);
    // A failure leaves vectors allocated; the pool goes with them.
    this.pools.delete(gradient.size);
    const sum = await gradient.sum(first, 1 + others.length, pool, run);
    this.pools.set(gradient.size, pool);
    return sum;
  }

  private parameterTensors(task: EngineTask, signature: ProgramSignature): Environment {
    const tensors: Environment = new Map();
    for (const { network, size, tensors: slots } of signature.parameters) {
      const key = task.parameters[network];
      if (key === undefined) {
        throw new Dd2Error('INVALID_ARGUMENT', 'The task names no parameters for this network', { field: `parameters.${network}` });
      }
      const values = this.parameters.read(key, size);
      for (const { name, shape, offset, size: length } of slots) {
        tensors.set(`${network}/${name}`, toOrt({ dtype: 'float32', shape, data: values.subarray(offset, offset + length) }));
      }
    }
    return tensors;
  }

  private contextOf(task: EngineTask, { batch }: ProgramSignature, microBatch: number, given: Readonly<Record<string, HostTensor>>): InputContext {
    const first = (task.firstSample ?? 0) + microBatch * batch;
    return {
      seed: task.seed,
      update: task.update,
      samples: Float64Array.from({ length: batch }, (_, row) => first + row),
      asset: (name) => {
        const key = task.assets?.[name] ?? name;
        const asset = this.assets.get(key);
        if (asset === undefined) throw new Dd2Error('ASSET_MISSING', 'There is no asset under this key', { field: key, remedy: 'Set it before the task' });
        return asset;
      },
      given: (name) => {
        const tensor = given[name];
        if (tensor === undefined) throw new Dd2Error('INVALID_ARGUMENT', 'The task does not give this micro-batch a value that its program reads', { field: name });
        return tensor;
      },
    };
  }
}

function readMetrics(signature: ProgramSignature, environment: Environment): Record<string, number> {
  return Object.fromEntries(
    signature.metrics.map(({ name, value }) => {
      const data = environment.get(value)?.data;
      if (!(data instanceof Float32Array) || data.length !== 1) throw new Dd2Error('INVALID_ARGUMENT', 'The metric is no float32 scalar', { field: name });
      return [name, Number(data[0])];
    }),
  );
}

/** Results leave the thread with their buffers, so what is not the outcome of a stage is copied. */
function readResults(signature: ProgramSignature, environment: Environment, inputs: Environment): Record<string, HostTensor> {
  return Object.fromEntries(
    signature.results.map((declared) => {
      const { name, value } = declared;
      const tensor = environment.get(value);
      if (tensor === undefined) throw new Dd2Error('INTERNAL', 'A result is not there', { field: name });
      const result = toHost(tensor);
      if (!sameType(result, declared)) {
        throw new Dd2Error('INVALID_ARGUMENT', `The result is ${describe(result)}, declared as ${describe(declared)}`, { field: name });
      }
      return [name, tensor === inputs.get(value) ? { ...result, data: result.data.slice() } : result];
    }),
  );
}
