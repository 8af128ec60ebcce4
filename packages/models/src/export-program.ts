import { encodeProgramModel, type ModelBytes } from '@dd2/autodiff';
import { Dd2Error } from '@dd2/core';
import { sampleImagesProgram } from './evaluation-program.js';
import type { ModelConfig } from './model-config.js';

/** The samplers that can be exported: they need nothing but class and draws. */
export const exportSamplers = ['one-step', 'teacher'] as const;
export type ExportSampler = (typeof exportSamplers)[number];

export interface ExportOptions {
  readonly model: ModelConfig;
  readonly sampler: ExportSampler;
  /** flat vectors by network: the tokenizer, and the generator or the teacher */
  readonly parameters: Readonly<Record<string, Float32Array>>;
  /** version of dd2 */
  readonly version: string;
  /** where it comes from: run, update, ... */
  readonly origin: Readonly<Record<string, string>>;
}

/**
 * A sampler as one ONNX model, tokenizer decoder included. Inputs: `class` int64 [batch] and what the sampler draws, `noise` float32
 * [batch, n, d] or `gumbel` float32 [batch, n, V]. Outputs: `images` uint8 [batch, 28, 28], `tokens` int64 [batch, n].
 * @throws {Dd2Error} UNSUPPORTED_OPERATION when it would have more than 2 GB
 */
export function exportProgram({ model, sampler, parameters, version, origin }: ExportOptions): ModelBytes {
  const summary = {
    'one-step': 'One-step generator of Distilled Decoding 2: class and noise become images in one pass.',
    teacher: 'The auto-regressive teacher of Distilled Decoding 2: class and uniform draws become images, token by token.',
  }[sampler];
  const meanings = {
    class: `class of each image, 0 to ${model.classes - 1}`,
    noise: 'independent standard normal draws',
    gumbel: 'independent uniform draws from the open interval (0, 1); the token at a position is argmax(logits - log(-log(u)))',
    images: 'grey values, 0 black to 255 white',
    tokens: 'codes of the tokenizer, in raster order',
  };
  const inputs = sampler === 'one-step' ? (['class', 'noise'] as const) : (['class', 'gumbel'] as const);
  return encodeProgramModel((batch) => sampleImagesProgram(model, { kind: sampler }, { batch }), {
    name: `dd2.${sampler}`,
    version,
    description: summary,
    metadata: { 'dd2.version': version, 'dd2.sampler': sampler, 'dd2.classes': String(model.classes), 'dd2.tokens': String(model.tokens), ...origin, ...Object.fromEntries(inputs.map((name) => [`dd2.input.${name}`, meanings[name]])) },
    parameters,
    outputs: ['images', 'tokens'],
    meanings,
  });
}

/** @throws {Dd2Error} INVALID_ARGUMENT for a sampler that cannot be exported */
export function parseExportSampler(name: string): ExportSampler {
  const sampler = exportSamplers.find((known) => known === name);
  if (sampler) return sampler;
  throw new Dd2Error('INVALID_ARGUMENT', `the sampler "${name}" cannot be exported`, { field: 'sampler', remedy: `Use ${exportSamplers.join(' or ')}` });
}
