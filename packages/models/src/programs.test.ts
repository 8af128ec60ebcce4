import { describe, expect, it } from 'vitest';
import { Dd2Error, type Program } from '@dd2/core';
import { classifierEvaluateProgram, classifierTrainProgram } from './classifier-programs.js';
import { evaluationProgram, sampleImagesProgram, sampleTokensProgram } from './evaluation-program.js';
import { contextLogitsProgram, contextsProgram, generatorProgram } from './generator-program.js';
import { guidanceProgram } from './guidance-program.js';
import type { ModelConfig } from './model-config.js';
import { regressProgram } from './regress-program.js';
import type { TokenSource } from './sampler.js';
import { targetsProgram } from './targets-program.js';
import { teacherEvaluateProgram, teacherTrainProgram } from './teacher-programs.js';
import { encodeProgram, tokenizerTrainProgram } from './tokenizer-programs.js';
import { tuneProgram, tuneTeacherProgram } from './tune-program.js';
import { model as small } from './testing/reference.js';

const batch = 4;
const time = { min: 0.25, max: 1, stratified: true };
const samplers: TokenSource[] = [
  { kind: 'one-step' },
  { kind: 'teacher' },
  { kind: 'multi-step', keep: 3 },
  { kind: 'naive' },
  { kind: 'reconstruction' },
  { kind: 'given' },
  { kind: 'continued', keep: 3 },
];

function allPrograms(model: ModelConfig): Program[] {
  return [
    tuneProgram(model, { batch, draws: 2, time, rows: 100 }),
    targetsProgram(model, { batch, odeSteps: 2 }),
    regressProgram(model, { batch, pairs: 100 }),
    guidanceProgram(model, { batch, draws: 2, time, contexts: 'snapped' }),
    generatorProgram(model, { batch, draws: 2, time, contexts: 'continuous', form: 'dmd', alpha: 1, weight: 'uniform' }),
    tuneProgram(model, { batch, draws: 2, time, rows: 100, teacher: 'given' }),
    tuneTeacherProgram(model, { batch, draws: 2, time, rows: 100 }),
    generatorProgram(model, { batch, draws: 2, time, contexts: 'snapped', form: 'sid', alpha: 1, weight: 'inverse-time', teacher: 'given' }),
    contextsProgram(model, { batch, contexts: 'snapped' }),
    contextLogitsProgram(model, { batch, contexts: 'continuous' }),
    ...samplers.map((sampler) => evaluationProgram(model, sampler, { batch })),
    ...samplers.map((sampler) => sampleImagesProgram(model, sampler, { batch })),
    ...samplers.filter(({ kind }) => kind !== 'given' && kind !== 'reconstruction').map((sampler) => sampleTokensProgram(model, sampler, { batch })),
    classifierTrainProgram(model, { batch, rows: 100 }),
    classifierEvaluateProgram(model, { batch, split: 'train' }),
    tokenizerTrainProgram(model, { batch, rows: 100 }),
    encodeProgram(model, { batch, split: 'test' }),
    teacherTrainProgram(model, { batch, rows: 100 }),
    teacherEvaluateProgram(model, { batch }),
  ];
}

describe.each([
  ['grid 4', small],
  ['grid 7', { ...small, grid: 7, tokens: 49 } satisfies ModelConfig],
])('programs with %s', (_, model) => {
  const programs = allPrograms(model);

  it.each(programs.map((program): [string, Program] => [program.signature.name, program]))('%s is wired completely', (_name, { signature, graphs }) => {
    const inputs = new Set(signature.inputs.map(({ name }) => name));
    expect(inputs.size).toBe(signature.inputs.length);
    const known = new Set([...inputs, ...signature.parameters.flatMap(({ network, tensors }) => tensors.map(({ name }) => `${network}/${name}`))]);
    const fed = new Set<string>();
    for (const stage of signature.stages) {
      expect(graphs[stage.graph]?.length).toBeGreaterThan(0);
      for (const value of Object.values(stage.feeds)) {
        expect(known.has(value), `${value} is known before it is fed`).toBe(true);
        fed.add(value);
      }
      for (const value of Object.values(stage.fetches)) known.add(value);
    }
    for (const { value } of [...signature.metrics, ...signature.results, ...(signature.gradient?.tensors ?? [])]) expect(known.has(value), value).toBe(true);
    for (const { name, shape, source } of signature.inputs) {
      if ('by' in source && source.by !== undefined) fed.add(source.by);
      if (source.kind !== 'asset' && source.kind !== 'step') expect(shape[0], name).toBe(batch);
    }
    const returned = new Set(signature.results.map(({ value }) => value));
    for (const name of inputs) expect(fed.has(name) || returned.has(name), `${name} is used`).toBe(true);
  });

  it('gradients fill their networks without overlap, but for the buffers of the tokenizer', () => {
    const training = programs.filter(({ signature }) => signature.gradient);
    expect(training.map(({ signature }) => signature.gradient?.network)).toEqual([
      'generator', 'generator', 'guidance', 'generator', 'generator', 'generator', 'classifier', 'tokenizer', 'teacher',
    ]);
    for (const { signature } of training) {
      const { network, size, tensors } = signature.gradient ?? { network: '', size: 0, tensors: [] };
      const layout = signature.parameters.find((candidate) => candidate.network === network);
      expect(layout?.size).toBe(size);
      const covered = tensors.reduce((sum, slot) => sum + slot.size, 0);
      const buffers = network === 'tokenizer' ? model.vocabulary * model.dimension + 2 * model.dimension : 0;
      expect(covered).toBe(size - buffers);
      for (const { offset, size: length } of tensors) expect(layout?.tensors.some((slot) => slot.offset === offset && slot.size === length)).toBe(true);
    }
  });
});

describe('programs', () => {
  it('regress draws the noise of a pair as targets drew it', () => {
    const noiseOf = ({ signature }: Program) => signature.inputs.find(({ name }) => name === 'noise');
    const [target, again] = [noiseOf(targetsProgram(small, { batch, odeSteps: 2 })), noiseOf(regressProgram(small, { batch, pairs: 9 }))];
    expect(target?.source).toEqual({ kind: 'normal', stream: 'target-noise' });
    expect(again?.source).toEqual({ kind: 'normal', stream: 'target-noise', by: 'pair' });
    expect(again?.shape).toEqual(target?.shape);
  });

  it('refuse what cannot be', () => {
    expect(() => evaluationProgram(small, { kind: 'multi-step', keep: 16 }, { batch })).toThrow(Dd2Error);
    expect(() => targetsProgram(small, { batch, odeSteps: 0 })).toThrow(Dd2Error);
    expect(() => encodeProgram(small, { batch: 0, split: 'test' })).toThrow(Dd2Error);
  });
});
