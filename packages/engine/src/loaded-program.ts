import { Dd2Error, type Program, type ProgramSignature } from '@dd2/core';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { EngineOptions } from './engine-task.js';
import { locate } from './error-record.js';
import { GradientPlan } from './gradient-plan.js';
import { Inputs } from './inputs.js';
import { createSession } from './session.js';
import { planStages, type Fetches, type StagePlan } from './stage-plan.js';

/** A program's values by name; those of inputs and parameters are read in place, those of stages belong to the runtime. */
export type Environment = Map<string, Tensor>;

/** A program with its sessions, input buffers and plan. */
export class LoadedProgram {
  private constructor(
    readonly signature: ProgramSignature,
    readonly inputs: Inputs,
    readonly gradient: GradientPlan | undefined,
    private readonly sessions: readonly InferenceSession[],
    private readonly plans: readonly (StagePlan | undefined)[],
  ) {}

  /** @throws Dd2Error INVALID_ARGUMENT (inconsistent signature), UNSUPPORTED_OPERATION (a graph that the provider cannot run) */
  static async load({ signature, graphs }: Program, options: EngineOptions): Promise<LoadedProgram> {
    const plans = planStages(signature);
    const inputs = new Inputs(signature);
    const gradient = signature.gradient === undefined ? undefined : new GradientPlan(signature.gradient);
    const sessions: InferenceSession[] = [];
    try {
      for (const [index, graph] of graphs.entries()) {
        sessions.push(await openGraph(graph, options, { program: signature.name, graph: index }));
      }
      signature.stages.forEach((stage, index) => requireInterface(stage, sessions[stage.graph], `Program ${signature.name}, stage ${index}`));
      return new LoadedProgram(signature, inputs, gradient, sessions, plans);
    } catch (error) {
      for (const session of sessions) await session.release();
      throw error;
    }
  }

  /** Runs all stages on an environment that holds the inputs and parameters; adds what the stages write. */
  async run(environment: Environment): Promise<void> {
    for (const [stage, plan] of this.plans.entries()) {
      if (plan === undefined) continue;
      try {
        await this.runStage(plan, environment);
      } catch (error) {
        throw locate(error, { stage });
      }
    }
  }

  async release(): Promise<void> {
    for (const session of this.sessions) await session.release();
  }

  private async runStage(plan: StagePlan, environment: Environment): Promise<void> {
    const session = this.sessions[plan.graph];
    if (session === undefined) throw new Dd2Error('INTERNAL', `Graph ${plan.graph} has no session`);
    const { from, to } = plan.repeat ?? { from: 0, to: 1 };
    for (let step = from; step < to; step++) {
      this.inputs.setStep(step);
      await runGraph(session, plan.feeds, step + 1 < to ? plan.inner : plan.last, environment);
    }
    for (const value of plan.dead) environment.delete(value);
  }
}

async function runGraph(session: InferenceSession, feeds: Fetches, fetches: Fetches, environment: Environment): Promise<void> {
  const tensors: Record<string, Tensor> = {};
  for (const [input, value] of feeds) {
    const tensor = environment.get(value);
    if (tensor === undefined) throw new Dd2Error('INTERNAL', 'A stage reads a value that is not there', { field: value });
    tensors[input] = tensor;
  }
  const outputs = await session.run(tensors, fetches.map(([output]) => output));
  for (const [output, value] of fetches) {
    const tensor = outputs[output];
    if (tensor === undefined) throw new Dd2Error('INTERNAL', 'The runtime returned no such output', { field: output });
    environment.set(value, tensor);
  }
}

async function openGraph(graph: Uint8Array, options: EngineOptions, details: { program: string; graph: number }): Promise<InferenceSession> {
  try {
    return await createSession(graph, options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Dd2Error('UNSUPPORTED_OPERATION', `Provider "${options.provider}" cannot run graph ${details.graph} of program ${details.program}: ${reason}`, { details, cause });
  }
}

/** The stage feeds every input of its graph, and fetches nothing that the graph does not have. */
function requireInterface(stage: ProgramSignature['stages'][number], session: InferenceSession | undefined, where: string): void {
  const unknownGraph = session === undefined;
  if (unknownGraph) throw new Dd2Error('INVALID_ARGUMENT', `${where}: there is no graph ${stage.graph}`, { field: 'graph' });
  const inputs = new Set(session.inputNames);
  const outputs = new Set(session.outputNames);
  const notFed = session.inputNames.find((name) => !(name in stage.feeds));
  if (notFed !== undefined) throw new Dd2Error('INVALID_ARGUMENT', `${where} does not feed an input of its graph`, { field: notFed });
  const noInput = Object.keys(stage.feeds).find((name) => !inputs.has(name));
  if (noInput !== undefined) throw new Dd2Error('INVALID_ARGUMENT', `${where} feeds an input that its graph does not have`, { field: noInput });
  const noOutput = Object.keys(stage.fetches).find((name) => !outputs.has(name));
  if (noOutput !== undefined) throw new Dd2Error('INVALID_ARGUMENT', `${where} fetches an output that its graph does not have`, { field: noOutput });
}
