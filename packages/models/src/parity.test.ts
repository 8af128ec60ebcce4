import { describe, expect, it } from 'vitest';
import type { HostTensor, Program } from '@dd2/core';
import { arDiffusionNetwork } from './ar-diffusion.js';
import { classifierNetwork } from './classifier.js';
import { classifierTrainProgram } from './classifier-programs.js';
import { generatorProgram } from './generator-program.js';
import { guidanceProgram } from './guidance-program.js';
import { regressProgram } from './regress-program.js';
import { targetsProgram } from './targets-program.js';
import { teacherTrainProgram } from './teacher-programs.js';
import { teacherNetwork } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';
import { encodeProgram, tokenizerTrainProgram } from './tokenizer-programs.js';
import { sampleImagesProgram } from './evaluation-program.js';
import { tuneProgram } from './tune-program.js';
import { batch, caseOf, cases, gradientErrors, inputsOf, model, parameterNames, portableWeights, reference, weightsOf } from './testing/reference.js';
import { gradientOf, numbersOf, parameterValues, runProgram, valueOf, type Environment } from './testing/run-program.js';

/**
 * Losses and gradients of PyTorch (fixtures/make.py) from equal weights and inputs, relative and by the norm of a tensor. PyTorch packs
 * four sequences into one block-diagonal attention there: equality shows as well that packing changes nothing.
 */
const tolerance = 1e-5;

const definitions = {
  generator: arDiffusionNetwork(model, 'generator'),
  guidance: arDiffusionNetwork(model, 'guidance'),
  teacher: teacherNetwork(model),
};

function vectors(program: Program): Record<string, Float32Array> {
  const tokenizer = portableWeights(tokenizerNetwork(model), 1, 'tokenizer');
  const all: Record<string, Float32Array> = { tokenizer };
  for (const [name, definition] of Object.entries(definitions)) {
    if (parameterNames(program).includes(name)) all[name] = weightsOf(definition);
  }
  return all;
}

async function run(program: Program, name: string, parameters = vectors(program), extra: [string, HostTensor][] = []): Promise<Environment> {
  return runProgram(program, [...parameterValues(program, parameters), ...inputsOf(name), ...extra]);
}

/** Compares every metric and every tensor of the gradient. */
function expectParity(program: Program, name: string, environment: Environment): void {
  const { metrics } = caseOf(name);
  for (const { name: metric, value } of program.signature.metrics) {
    const expected = metrics[metric] ?? NaN;
    const actual = numbersOf(valueOf(environment, value))[0] ?? NaN;
    expect(Math.abs(actual - expected) / Math.abs(expected), `${name} ${metric}: ${actual} against ${expected}`).toBeLessThan(tolerance);
  }
  const errors = gradientErrors(name, gradientOf(program, environment));
  expect(errors.length).toBe(program.signature.gradient?.tensors.length);
  for (const { tensor, error, norm } of errors) {
    expect(error, `${name}: gradient of ${tensor} (norm ${norm})`).toBeLessThan(tolerance);
  }
  if (process.env['DD2_SHOW_ERRORS']) {
    const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
    console.log(`${name}: worst gradient error ${worst.error.toExponential(2)} (${worst.tensor})`);
  }
}

describe('distillation objectives', () => {
  it('teacher cross-entropy', async () => {
    const program = teacherTrainProgram(model, { batch, rows: 100 });
    expectParity(program, 'teacher', await run(program, 'teacher'));
  });

  it.each(['tune', 'tune-stratified'])('%s', async (name) => {
    const { time, draws } = caseOf(name);
    const program = tuneProgram(model, { batch, draws, time, rows: 100 });
    expectParity(program, name, await run(program, name));
  });

  it.each(['guidance-snapped', 'guidance-continuous'])('%s', async (name) => {
    const program = guidanceProgram(model, { batch, ...caseOf(name) });
    expectParity(program, name, await run(program, name));
  });

  it.each(Object.keys(cases).filter((name) => name.startsWith('generator-')))('%s', async (name) => {
    const program = generatorProgram(model, { batch, ...caseOf(name) });
    expectParity(program, name, await run(program, name));
  });

  it('regress', async () => {
    const program = regressProgram(model, { batch, pairs: 50 });
    expectParity(program, 'regress', await run(program, 'regress'));
  });
});

describe('sampling', () => {
  it.each(['targets-5', 'targets-20'])('%s', async (name) => {
    const program = targetsProgram(model, { batch, odeSteps: caseOf(name).odeSteps });
    const environment = await run(program, name);
    expect(numbersOf(valueOf(environment, 'tokens'))).toEqual(numbersOf(reference(`${name}/result/tokens`)));
  });

  it('one step', async () => {
    const program = sampleImagesProgram(model, { kind: 'one-step' }, { batch });
    const environment = await run(program, 'one-step');
    expect(numbersOf(valueOf(environment, 'tokens.one-step'))).toEqual(numbersOf(reference('one-step/result/tokens')));
  });
});

describe('preparation objectives', () => {
  it.each([4, 7] as const)('tokenizer with grid %i', async (grid) => {
    const name = `tokenizer-${grid}`;
    const config = { ...model, grid, tokens: grid * grid };
    const parameters = { tokenizer: portableWeights(tokenizerNetwork(config), caseOf(name).seed, name) };
    const images: [string, HostTensor][] = [['images', reference('images')]];
    const program = tokenizerTrainProgram(config, { batch, rows: 100 });
    const environment = await run(program, name, parameters, images);
    expectParity(program, name, environment);
    expect(numbersOf(valueOf(environment, 'codes.count'))).toEqual(numbersOf(reference(`${name}/result/codes.count`)));
    expectClose(valueOf(environment, 'codes.sum'), reference(`${name}/result/codes.sum`));
    expectClose(valueOf(environment, 'latents'), reference(`${name}/result/latents`));

    const encoded = await run(encodeProgram(config, { batch, split: 'train' }), name, parameters, images);
    const tokens = valueOf(encoded, 'tokens');
    expect(numbersOf(tokens)).toEqual(numbersOf(reference(`${name}/result/tokens`)));

    const decoded = await run(sampleImagesProgram(config, { kind: 'reconstruction' }, { batch }), name, parameters, [['tokens', tokens]]);
    const pixels = numbersOf(reference(`${name}/decoded`));
    const shown = numbersOf(valueOf(decoded, 'images'));
    pixels.forEach((pixel, i) => expect(Math.abs((shown[i] ?? NaN) - 255 * pixel)).toBeLessThanOrEqual(0.501));
  });

  it('classifier with dropout', async () => {
    const program = classifierTrainProgram(model, { batch, rows: 100 });
    const parameters = { classifier: portableWeights(classifierNetwork(model), caseOf('classifier').seed, 'classifier') };
    expectParity(program, 'classifier', await run(program, 'classifier', parameters, [['images', reference('images')]]));
  });
});

function expectClose(actual: HostTensor, expected: HostTensor): void {
  const [a, b] = [numbersOf(actual), numbersOf(expected)];
  const difference = Math.hypot(...a.map((value, i) => value - (b[i] ?? NaN)));
  expect(difference / Math.hypot(...b)).toBeLessThan(tolerance);
}
