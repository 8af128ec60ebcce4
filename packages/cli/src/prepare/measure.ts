import { emptyStatistics, Dd2Error, mergeStatistics, type HostTensor, type Program, type SufficientStatistics } from '@dd2/core';
import type { Engine } from '@dd2/engine';
import { featureSize } from '@dd2/models';

export interface Measurement {
  readonly statistics: SufficientStatistics;
  /** fraction of the samples that the classifier assigns to the wanted class */
  readonly accuracy: number;
  readonly milliseconds: number;
}

/**
 * Runs a scoring program over samples 0 .. samples - 1; the parameters of its networks have been published under their names.
 * @param samples a multiple of the program's batch
 */
export async function measure(engine: Engine, program: Program, samples: number, seed: number): Promise<Measurement> {
  let statistics = emptyStatistics(featureSize);
  let correct = 0;
  let milliseconds = 0;
  await forEachBatch(engine, program, samples, seed, (results, computeMs) => {
    const sum = tensor(results, 'features.sum', 'float64').data;
    const outer = tensor(results, 'features.outer', 'float64').data;
    statistics = mergeStatistics(statistics, { count: program.signature.batch, sum, outer });
    correct += Number(tensor(results, 'correct', 'int64').data[0] ?? 0n);
    milliseconds += computeMs;
  });
  return { statistics, accuracy: correct / samples, milliseconds };
}

/** Executes a program once per batch, in order, and hands over results, compute time and metrics. */
export async function forEachBatch(
  engine: Engine,
  program: Program,
  samples: number,
  seed: number,
  take: (results: Readonly<Record<string, HostTensor>>, computeMs: number, metrics: Readonly<Record<string, number>>) => void,
): Promise<void> {
  const { name, batch, parameters } = program.signature;
  if (samples % batch !== 0) throw new Dd2Error('INVALID_ARGUMENT', `${samples} samples are not a multiple of the batch ${batch}`, { field: name });
  await engine.loadProgram(name, program);
  try {
    for (let index = 0; index < samples / batch; index++) {
      const result = await engine.execute({
        program: name,
        seed,
        update: 0,
        microBatches: [{ index }],
        parameters: Object.fromEntries(parameters.map(({ network }) => [network, network])),
      });
      take(result.results[0] ?? {}, result.computeMs, result.metrics[0] ?? {});
    }
  } finally {
    await engine.unloadProgram(name);
  }
}

/** @throws {Dd2Error} INTERNAL when the program did not return that tensor */
export function tensor<T extends HostTensor['dtype']>(results: Readonly<Record<string, HostTensor>>, name: string, dtype: T): HostTensor<T> {
  const found = results[name];
  if (found?.dtype === dtype) return found as HostTensor<T>;
  throw new Dd2Error('INTERNAL', `a program returned no ${dtype} tensor "${name}"`, { field: name });
}
