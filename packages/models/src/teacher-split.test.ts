import { describe, expect, it } from 'vitest';
import type { HostTensor, Program } from '@dd2/core';
import { sampleImagesProgram, sampleTokensProgram } from './evaluation-program.js';
import { contextLogitsProgram, contextsProgram, generatorProgram } from './generator-program.js';
import type { Sampler, TokenSource } from './sampler.js';
import { batch, caseOf, cases, gradientErrors, inputsOf, model } from './testing/reference.js';
import { gradientOf, numbersOf, parameterValues, runProgram, valueOf, type Environment } from './testing/run-program.js';
import { counting, integerTensor, normalTensor, smallVectors, uniformTensor } from './testing/small-model.js';
import { tuneProgram, tuneTeacherProgram } from './tune-program.js';

/** The split form against the fused one, relative: metrics, and the gradient by the norm of each tensor. */
const tolerance = 1e-6;
/** PyTorch's figures, as in parity.test.ts */
const parity = 1e-5;

const vectors = smallVectors();

/** Runs programs one after the other, each given the results of those before. */
async function runChain(programs: readonly Program[], inputs: readonly [string, HostTensor][]): Promise<Environment> {
  const results = new Map<string, HostTensor>();
  let environment: Environment = new Map();
  for (const program of programs) {
    const { signature } = program;
    const given = signature.inputs.flatMap(({ name, source }): [string, HostTensor][] => (source.kind === 'given' ? [[name, valueOf(results, source.value)]] : []));
    environment = await runProgram(program, [...parameterValues(program, vectors), ...inputs, ...given]);
    for (const { name, value } of signature.results) results.set(name, valueOf(environment, value));
  }
  return environment;
}

interface Outcome {
  readonly program: Program;
  readonly environment: Environment;
}

async function outcome(programs: readonly Program[], name: string): Promise<Outcome> {
  const program = programs.at(-1);
  if (!program) throw new Error('no program');
  return { program, environment: await runChain(programs, inputsOf(name)) };
}

function expectAgreement(name: string, fused: Outcome, split: Outcome): void {
  for (const { name: metric, value } of fused.program.signature.metrics) {
    const [a = NaN, b = NaN] = [fused, split].map(({ environment }) => numbersOf(valueOf(environment, value))[0] ?? NaN);
    expect(Math.abs(a - b) / Math.abs(a), `${name} ${metric}: ${a} fused, ${b} split`).toBeLessThan(tolerance);
  }
  const [expected, actual] = [fused, split].map(({ program, environment }) => gradientOf(program, environment)) as [Map<string, Float32Array>, Map<string, Float32Array>];
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  const errors = [...expected].map(([tensor, values]) => ({ tensor, error: relativeError(actual.get(tensor) ?? new Float32Array(values.length), values) }));
  for (const { tensor, error } of errors) expect(error, `${name}: gradient of ${tensor}`).toBeLessThan(tolerance);
  if (process.env['DD2_SHOW_ERRORS']) console.log(`${name}: worst gradient error ${Math.max(...errors.map(({ error }) => error)).toExponential(2)}`);
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  return Math.hypot(...expected.map((value, i) => value - (actual[i] ?? NaN))) / Math.hypot(...expected);
}

describe('an objective with the teacher in a program of its own equals the fused one', () => {
  it.each(['tune', 'tune-stratified'])('%s', async (name) => {
    const { time, draws } = caseOf(name);
    const options = { batch, draws, time, rows: 100 };
    const fused = await outcome([tuneProgram(model, options)], name);
    const split = await outcome([tuneTeacherProgram(model, options), tuneProgram(model, { ...options, teacher: 'given' })], name);
    expect(split.program.signature.parameters.map(({ network }) => network)).not.toContain('teacher');
    expectAgreement(name, fused, split);
    for (const { tensor, error } of gradientErrors(name, gradientOf(split.program, split.environment))) expect(error, `${tensor} against PyTorch`).toBeLessThan(parity);
  });

  it.each(Object.keys(cases).filter((name) => name.startsWith('generator-')))('%s', async (name) => {
    const options = { batch, ...caseOf(name) };
    const fused = await outcome([generatorProgram(model, options)], name);
    const split = await outcome([contextsProgram(model, options), contextLogitsProgram(model, options), generatorProgram(model, { ...options, teacher: 'given' })], name);
    expect(split.program.signature.parameters.map(({ network }) => network)).not.toContain('teacher');
    expectAgreement(name, fused, split);
    for (const { tensor, error } of gradientErrors(name, gradientOf(split.program, split.environment))) expect(error, `${tensor} against PyTorch`).toBeLessThan(parity);
  });

  it('and reads the context that it is given, whatever it would snap itself', async () => {
    const name = 'generator-sid-1-inverse-time-snapped';
    const program = generatorProgram(model, { batch, ...caseOf(name), teacher: 'given' });
    const logits = normalTensor([batch, model.tokens, model.vocabulary], 3);
    const inputs = [...parameterValues(program, vectors), ...inputsOf(name), ['logits', logits] as [string, HostTensor]];
    const gap = async (context: HostTensor): Promise<number> => numbersOf(valueOf(await runProgram(program, [...inputs, ['context', context]]), 'gap'))[0] ?? NaN;
    const one = await gap(integerTensor([batch, model.tokens], counting(batch * model.tokens, model.vocabulary)));
    expect(await gap(integerTensor([batch, model.tokens], counting(batch * model.tokens, 3)))).not.toBe(one);
  });
});

describe('a sampler cut into programs gives the images of the whole', () => {
  const inputs: [string, HostTensor][] = [
    ['class', integerTensor([batch], counting(batch, model.classes))],
    ['noise', normalTensor([batch, model.tokens, model.dimension], 5)],
    ['gumbel', uniformTensor([batch, model.tokens, model.vocabulary], 4)],
  ];
  const cuts: [string, Sampler, TokenSource[]][] = [
    ['the teacher', { kind: 'teacher' }, [{ kind: 'teacher' }]],
    ['multi-step', { kind: 'multi-step', keep: 6 }, [{ kind: 'one-step' }, { kind: 'continued', keep: 6 }]],
  ];

  it.each(cuts)('%s', async (_, whole, parts) => {
    const images = async (sources: readonly TokenSource[], last: TokenSource): Promise<HostTensor> => {
      const programs = [...sources.map((source) => sampleTokensProgram(model, source, { batch })), sampleImagesProgram(model, last, { batch })];
      return valueOf(await runChain(programs, inputs), 'images');
    };
    expect(await images(parts, { kind: 'given' })).toEqual(await images([], whole));
  });
});
