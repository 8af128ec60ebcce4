import { parseRunSpec, schedule, totalUpdates, type RunSpec } from '@dd2/core';
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ModelConfig, Sampler } from '@dd2/models';
import { ContentStore } from './content-store.js';
import { Programs, type ServedProgram } from './programs.js';

const model: ModelConfig = { tokens: 16, dimension: 2, vocabulary: 8, classes: 10, width: 8, layers: 1, heads: 2, headWidth: 8, headBlocks: 1, grid: 4 };
let text: string;

beforeAll(async () => {
  text = await readFile(new URL('../../../configs/mnist.yaml', import.meta.url), 'utf8');
});

function programs(...overrides: string[]): { readonly spec: RunSpec; readonly programs: Programs } {
  const spec = parseRunSpec(text, overrides);
  return { spec, programs: new Programs(spec, model, 100, new ContentStore(), 'run') };
}

/** A program and all that must run before it. */
function closure(served: ServedProgram): ServedProgram[] {
  return [...served.inputsFrom.flatMap(closure), served];
}

const readsTeacher = ({ program }: ServedProgram): boolean => program.signature.parameters.some(({ network }) => network === 'teacher');
const name = ({ program }: ServedProgram): string => program.signature.name;

/** Every program of a run. */
function all(...overrides: string[]): ServedProgram[] {
  const { spec, programs: of } = programs(...overrides);
  const updates = Array.from({ length: totalUpdates(spec) }, (_, update) => of.forUpdate(schedule(update, spec)));
  const samplers: Sampler[] = [{ kind: 'one-step' }, { kind: 'teacher' }, { kind: 'multi-step', keep: 3 }, { kind: 'naive' }, { kind: 'reconstruction' }];
  const roots = new Set([...updates, of.targets(5, 2), ...samplers.flatMap((sampler) => [of.evaluation(sampler, 10), of.images(sampler, 10)])]);
  return [...new Set([...roots].flatMap(closure))];
}

describe('the programs of a run', () => {
  it('run anywhere and alone when the teacher is fused', () => {
    for (const served of [...all(), ...all('teacher.placement=fused')]) expect(served).toMatchObject({ placement: undefined, inputsFrom: [] });
  });

  it('are on the pool exactly when they evaluate the teacher', () => {
    const served = all('teacher.placement=pool');
    expect(served.filter(readsTeacher).map(name).sort()).toEqual(['distill.teacher', 'sample-tokens.continued', 'sample-tokens.teacher', 'targets', 'tune.teacher']);
    for (const one of served) expect(one.placement, name(one)).toBe(readsTeacher(one) ? 'pool' : undefined);
  });

  it.each(['snapped', 'continuous'])('are given what the programs before them return, with %s contexts', (contexts) => {
    for (const served of all('teacher.placement=pool', `phases.distill.contexts=${contexts}`)) {
      const results = served.inputsFrom.flatMap(({ program }) => program.signature.results);
      for (const { source, dtype, shape } of served.program.signature.inputs) {
        if (source.kind !== 'given') continue;
        expect(results.find((result) => result.name === source.value), `${name(served)} ${source.value}`).toMatchObject({ dtype, shape });
      }
    }
  });

  it('of guidance updates need nothing of the pool', () => {
    const { spec, programs: of } = programs('teacher.placement=pool');
    const chains = Array.from({ length: totalUpdates(spec) }, (_, update) => schedule(update, spec))
      .filter(({ network }) => network === 'guidance')
      .flatMap((plan) => closure(of.forUpdate(plan)));
    expect(chains.length).toBeGreaterThan(0);
    for (const { placement } of chains) expect(placement).toBeUndefined();
  });
});
