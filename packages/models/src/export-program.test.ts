import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Dd2Error, type HostTensor } from '@dd2/core';
import { sampleImagesProgram } from './evaluation-program.js';
import { exportProgram, parseExportSampler, type ExportSampler } from './export-program.js';
import type { ModelConfig } from './model-config.js';
import { arDiffusionNetwork } from './ar-diffusion.js';
import { initialize } from './network-definition.js';
import { teacherNetwork } from './teacher.js';
import { tokenizerNetwork } from './tokenizer.js';
import { model as small } from './testing/reference.js';
import { numbersOf, parameterValues, runProgram, valueOf } from './testing/run-program.js';
import { counting, integerTensor, normalTensor, smallVectors, uniformTensor } from './testing/small-model.js';

interface Case {
  readonly model: ModelConfig;
  readonly vectors: Readonly<Record<string, Float32Array>>;
}

const wide: ModelConfig = { ...small, grid: 7, tokens: 49, layers: small.layers + 1 };
const cases: [string, Case][] = [
  ['grid 4', { model: small, vectors: smallVectors() }],
  ['grid 7', { model: wide, vectors: Object.fromEntries([arDiffusionNetwork(wide, 'generator'), teacherNetwork(wide), tokenizerNetwork(wide)].map((network) => [network.name, initialize(network, 3)])) }],
];

function encoded({ model, vectors }: Case, sampler: ExportSampler): Uint8Array {
  const { bytes, chunks } = exportProgram({ model, sampler, parameters: vectors, version: '0.0.0', origin: { 'dd2.run': 'r-1' } });
  const file = Buffer.concat([...chunks]);
  expect(file.byteLength).toBe(bytes);
  return file;
}

function drawsOf({ model }: Case, sampler: ExportSampler, batch: number): Readonly<Record<string, HostTensor>> {
  const label = integerTensor([batch], counting(batch, model.classes).map((i) => (i * 3) % model.classes));
  if (sampler === 'one-step') return { class: label, noise: normalTensor([batch, model.tokens, model.dimension], 5) };
  return { class: label, gumbel: uniformTensor([batch, model.tokens, model.vocabulary], 6) };
}

describe.each(cases)('exported samplers, %s', (_, scene) => {
  it.each(['one-step', 'teacher'] as const)('%s makes the images that the program makes, for every batch, from one file', async (sampler) => {
    const session = await InferenceSession.create(encoded(scene, sampler), { intraOpNumThreads: 1 });
    for (const batch of [1, 3, 16]) {
      const draws = drawsOf(scene, sampler, batch);
      const program = sampleImagesProgram(scene.model, { kind: sampler }, { batch });
      const expected = await runProgram(program, [...parameterValues(program, scene.vectors), ...Object.entries(draws)]);
      const { images, tokens } = await session.run(Object.fromEntries(Object.entries(draws).map(([name, { dtype, data, shape }]) => [name, new Tensor(dtype, data, shape)])));
      expect(images?.type).toBe('uint8');
      expect(images?.dims).toEqual([batch, 28, 28]);
      const sampled = program.signature.results.find(({ name }) => name === 'tokens')?.value ?? '';
      expect(Array.from(tokens?.data as BigInt64Array, Number)).toEqual(numbersOf(valueOf(expected, sampled)));
      expect(Buffer.compare(images?.data as Uint8Array, valueOf(expected, 'images').data as Uint8Array)).toBe(0);
      expect(new Set(images?.data as Uint8Array).size).toBeGreaterThan(4); // not one grey
    }
    await session.release();
  });
});

describe('an export', () => {
  const scene = cases[0]?.[1] as Case;

  it('declares class and draws with a free batch, and holds the networks that it needs only', async () => {
    const { tokens, dimension, vocabulary } = scene.model;
    for (const [sampler, draw] of [['one-step', { name: 'noise', shape: ['batch', tokens, dimension] }], ['teacher', { name: 'gumbel', shape: ['batch', tokens, vocabulary] }]] as const) {
      const file = encoded(scene, sampler);
      const session = await InferenceSession.create(file);
      expect(session.inputMetadata).toEqual([
        { name: 'class', isTensor: true, type: 'int64', shape: ['batch'] },
        { name: draw.name, isTensor: true, type: 'float32', shape: draw.shape },
      ]);
      expect(session.outputMetadata).toEqual([
        { name: 'images', isTensor: true, type: 'uint8', shape: ['batch', 28, 28] },
        { name: 'tokens', isTensor: true, type: 'int64', shape: ['batch', tokens] },
      ]);
      await session.release();
      const [wanted, other] = sampler === 'one-step' ? ['generator/', 'teacher/'] : ['teacher/', 'generator/'];
      expect(Buffer.from(file).includes(wanted)).toBe(true);
      expect(Buffer.from(file).includes(other)).toBe(false);
      expect(Buffer.from(file).includes('dd2.run')).toBe(true);
    }
  });

  it('refuses samplers that need more than draws', () => {
    expect(parseExportSampler('teacher')).toBe('teacher');
    for (const name of ['naive', 'reconstruction', 'multi-step-4', '', 'ONE-STEP']) {
      expect(() => parseExportSampler(name)).toThrow(Dd2Error);
    }
  });
});
