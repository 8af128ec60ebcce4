import { Dd2Error, learningRate, type HostTensor, type OptimizerSpec, type Program } from '@dd2/core';
import { Kernels, type Engine, type EngineResult } from '@dd2/engine';

/** One network trained in this process. */
export interface LocalTraining {
  /** has a gradient; its batch is one whole step */
  readonly program: Program;
  /** flat parameters to start from */
  readonly initial: Float32Array;
  readonly steps: number;
  readonly seed: number;
  readonly optimizer: OptimizerSpec;
  /** called after the optimizer's step, in order; the next one waits for it */
  readonly afterStep?: (step: LocalStep) => void | Promise<void>;
}

export interface LocalStep {
  /** counts from 0 */
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly results: Readonly<Record<string, HostTensor>>;
  /** the flat parameters after the step, in place: what is written here is what the next step sees */
  readonly parameters: Float32Array;
  /** the results of the same batch with the parameters as they are now */
  readonly again: () => Promise<Readonly<Record<string, HostTensor>>>;
}

/**
 * The smallest training loop on the product's own parts: execute the program, AdamW, publish the parameters.
 * Other networks of the program must have been published.
 * @returns the flat parameters after the last step
 * @throws {Dd2Error} NON_FINITE with the step, INVALID_ARGUMENT for a program without a gradient
 */
export async function trainLocally(engine: Engine, training: LocalTraining): Promise<Float32Array<ArrayBuffer>> {
  const { program, initial, steps, seed, optimizer } = training;
  const { name, gradient: target } = program.signature;
  if (target?.size !== initial.length) {
    throw new Dd2Error('INVALID_ARGUMENT', `the program ${name} has a gradient of ${target?.size ?? 0} elements, the network ${initial.length}`, { field: name });
  }
  const kernels = Kernels.create();
  const parameters = kernels.allocate(initial.length);
  const gradient = kernels.allocate(initial.length);
  const firstMoment = kernels.allocate(initial.length);
  const secondMoment = kernels.allocate(initial.length);
  parameters.view().set(initial);
  firstMoment.view().fill(0);
  secondMoment.view().fill(0);

  const execute = (update: number): Promise<EngineResult> => {
    publish(engine, target.network, parameters.view());
    const networks = program.signature.parameters.map(({ network }) => [network, network]);
    return engine.execute({ program: name, seed, update, microBatches: [{ index: 0 }], parameters: Object.fromEntries(networks) as Record<string, string> });
  };
  await engine.loadProgram(name, program);
  try {
    for (let step = 0; step < steps; step++) {
      const result = await execute(step);
      if (result.gradient === undefined || !result.finite) {
        throw new Dd2Error('NON_FINITE', `the gradient of ${name} is not finite at step ${step}`, { remedy: 'Lower the learning rate', details: { step } });
      }
      gradient.view().set(result.gradient);
      kernels.adamw(parameters, gradient, firstMoment, secondMoment, {
        lr: learningRate(optimizer, step, steps),
        beta1: optimizer.betas[0],
        beta2: optimizer.betas[1],
        epsilon: optimizer.epsilon,
        weightDecay: optimizer.weightDecay,
        step: step + 1,
      });
      await training.afterStep?.({
        step,
        metrics: result.metrics[0] ?? {},
        results: result.results[0] ?? {},
        parameters: parameters.view(),
        again: async () => (await execute(step)).results[0] ?? {},
      });
    }
  } finally {
    await engine.unloadProgram(name);
    engine.dropParameters(target.network);
  }
  return parameters.view().slice();
}

/** Gives the engine a copy of a network's parameters under the network's own name. */
export function publish(engine: Engine, network: string, parameters: Float32Array): void {
  engine.writeParameters(network, parameters.length, 0, new Uint8Array(parameters.slice().buffer));
}
