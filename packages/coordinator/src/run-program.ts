import { randomUUID } from 'node:crypto';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { encodeTensor } from '@dd2/proto';
import type { Job, JobOutcome } from './dispatcher.js';
import type { ModelContext } from './model-context.js';
import type { PublishedParameters } from './parameter-store.js';
import type { ServedProgram } from './programs.js';

/** What a program is run on, beside what its context binds it to. */
export type Task = Pick<Job, 'seed' | 'update' | 'firstSample' | 'microBatches' | 'blocks' | 'priority' | 'gradient'> & {
  /** parameters to use instead of the latest, by the program's network name */
  readonly parameters?: Readonly<Record<string, PublishedParameters>>;
};

/**
 * Runs a program on the workers; before it, each once, the programs that its inputs come from: micro-batch m of a program is given
 * the results of micro-batch m of those. They are served to workers for as long as this takes. The times of the outcome are those of
 * all programs together.
 */
export async function runProgram(context: ModelContext, served: ServedProgram, task: Task, signal: AbortSignal): Promise<JobOutcome> {
  const owner = `${context.namespace} ${randomUUID()}`;
  const { parameters, gradient, ...job } = task;
  const outcomes = new Map<ServedProgram, JobOutcome>();
  /** one after the other: none of them is left behind when another fails */
  const run = async (program: ServedProgram, more: Pick<Job, 'blocks' | 'gradient'>): Promise<JobOutcome> => {
    for (const before of program.inputsFrom) {
      if (!outcomes.has(before)) outcomes.set(before, await run(before, { blocks: 'single' }));
    }
    const results = program.inputsFrom.flatMap((before) => outcomes.get(before) ?? []);
    const inputs = results.length === 0 ? {} : { inputs: Array.from({ length: task.microBatches }, (_, index) => serveInputs(context, owner, program, index, results)) };
    return context.dispatcher.run({ ...context.bind(program, parameters), ...job, ...more, ...inputs }, signal);
  };
  try {
    const outcome = await run(served, { blocks: task.blocks, ...(gradient ? { gradient } : {}) });
    const all = [...outcomes.values(), outcome];
    return {
      ...outcome,
      computeMs: all.reduce((total, { computeMs }) => total + computeMs, 0),
      totalComputeMs: all.reduce((total, { totalComputeMs }) => total + totalComputeMs, 0),
    };
  } finally {
    context.contents.release(owner);
  }
}

/** Content ids, by name, of what one micro-batch of a program is given. */
function serveInputs({ contents }: ModelContext, owner: string, { program }: ServedProgram, index: number, outcomes: readonly JobOutcome[]): Record<string, string> {
  const results = new Map<string, HostTensor>(outcomes.flatMap(({ microBatches }) => Object.entries(microBatches[index]?.results ?? {})));
  const names = program.signature.inputs.flatMap(({ source }) => (source.kind === 'given' ? [source.value] : []));
  return Object.fromEntries(
    names.map((name) => {
      const tensor = results.get(name);
      if (!tensor) throw new Dd2Error('INTERNAL', `no program before ${program.signature.name} has a result "${name}"`, { field: name });
      return [name, contents.put(encodeTensor(tensor), owner)];
    }),
  );
}
