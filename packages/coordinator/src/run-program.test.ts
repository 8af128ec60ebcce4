import type { HostTensor, ProgramInput } from '@dd2/core';
import { decodeTensor } from '@dd2/proto';
import { describe, expect, it } from 'vitest';
import { ContentStore } from './content-store.js';
import type { Job, JobOutcome } from './dispatcher.js';
import type { ModelContext } from './model-context.js';
import type { ServedProgram } from './programs.js';
import { runProgram, type Task } from './run-program.js';

const MICRO_BATCHES = 3;
const task: Task = { seed: 1, update: 2, firstSample: 0, microBatches: MICRO_BATCHES, blocks: 'summed', priority: 0 };
const never = new AbortController().signal;

function served(id: string, given: readonly string[], inputsFrom: readonly ServedProgram[], placement?: 'pool'): ServedProgram {
  const inputs = given.map((value): ProgramInput => ({ name: `in.${value}`, dtype: 'int64', shape: [1], source: { kind: 'given', value } }));
  return { id, placement, inputsFrom, program: { graphs: [], signature: { name: id, batch: 1, parameters: [], inputs, stages: [], metrics: [], results: [] } } };
}

const contexts = served('contexts', [], []);
const teacher = served('teacher', ['context'], [contexts], 'pool');
const generator = served('generator', ['context', 'logits'], [contexts, teacher]);

function tensor(value: number): HostTensor {
  return { dtype: 'int64', shape: [1], data: BigInt64Array.of(BigInt(value)) };
}

/** Workers whose `contexts` are 10 + m, whose `teacher` adds 100; both names end up in the log with what they were given. */
function setUp(fails?: string) {
  const contents = new ContentStore();
  const log: { readonly program: string; readonly blocks: string; readonly given: readonly Record<string, number>[]; readonly gradient: boolean }[] = [];
  const ids = new Set<string>();
  const run = async (job: Job): Promise<JobOutcome> => {
    const given = (job.inputs ?? []).map((record) =>
      Object.fromEntries(
        Object.entries(record).map(([name, id]) => {
          ids.add(id);
          return [name, Number(decodeTensor(Buffer.concat(contents.get(id) ?? [])).data[0])];
        }),
      ),
    );
    log.push({ program: job.programId, blocks: job.blocks, given, gradient: job.gradient !== undefined });
    if (job.programId === fails) throw new Error(`${fails} fails`);
    const results = (index: number): Record<string, HostTensor> => {
      if (job.programId === 'contexts') return { context: tensor(10 + index) };
      return job.programId === 'teacher' ? { logits: tensor(100 + (given[index]?.['context'] ?? NaN)) } : {};
    };
    return { microBatches: Array.from({ length: job.microBatches }, (_, index) => ({ index, metrics: {}, results: results(index) })), computeMs: 1, totalComputeMs: 2 };
  };
  const bind = ({ id }: ServedProgram): Partial<Job> => ({ programId: id, runId: 'run' });
  const context = { namespace: 'run', contents, dispatcher: { run }, bind } as unknown as ModelContext;
  return { context, contents, log, ids };
}

describe('a program', () => {
  it('that needs no other runs alone', async () => {
    const { context, log } = setUp();
    const outcome = await runProgram(context, contexts, task, never);
    expect(log).toEqual([{ program: 'contexts', blocks: 'summed', given: [], gradient: false }]);
    expect(outcome.computeMs).toBe(1);
  });

  it('is given, micro-batch by micro-batch, the results of those that run before it, each once', async () => {
    const { context, contents, log, ids } = setUp();
    const gradient = {} as NonNullable<Job['gradient']>;
    const outcome = await runProgram(context, generator, { ...task, gradient }, never);
    expect(log).toEqual([
      { program: 'contexts', blocks: 'single', given: [], gradient: false },
      { program: 'teacher', blocks: 'single', given: [10, 11, 12].map((context) => ({ context })), gradient: false },
      { program: 'generator', blocks: 'summed', given: [10, 11, 12].map((context) => ({ context, logits: 100 + context })), gradient: true },
    ]);
    expect(outcome).toMatchObject({ computeMs: 3, totalComputeMs: 6 });
    expect(ids.size).toBe(6);
    for (const id of ids) expect(contents.get(id)).toBeUndefined(); // an update's bytes end with it
  });

  it('does not run when one before it fails, and leaves nothing behind', async () => {
    const { context, contents, log, ids } = setUp('teacher');
    await expect(runProgram(context, generator, task, never)).rejects.toThrow('teacher fails');
    expect(log.map(({ program }) => program)).toEqual(['contexts', 'teacher']);
    for (const id of ids) expect(contents.get(id)).toBeUndefined();
  });

  it('that asks for what nobody returns is an error of the programs', async () => {
    const { context } = setUp();
    await expect(runProgram(context, served('other', ['nothing'], [contexts]), task, never)).rejects.toMatchObject({ code: 'INTERNAL', field: 'nothing' });
  });
});
