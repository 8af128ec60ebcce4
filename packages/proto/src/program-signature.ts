import { z } from 'zod';
import type { DType, InputSource, ProgramSignature } from '@dd2/core';

/** The schema of a signature that comes over the wire: strict, with limits far above what programs need. */

const name = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[\x21-\x7e]+$/, 'names are printable ASCII without spaces');
const size = z.number().int().min(0).max(2 ** 40);
const count = z.number().int().min(1).max(2 ** 31 - 1);
const dtype = z.enum(['float32', 'float64', 'int32', 'int64', 'uint8', 'bool']) satisfies z.ZodType<DType>;
const shape = z.array(z.number().int().min(0).max(2 ** 31 - 1)).max(8);

const list = <T extends z.ZodType>(element: T, max: number) => z.array(element).max(max);
const mapping = z.record(name, name).refine((entries) => Object.keys(entries).length <= 65_536, 'has too many entries');

const source: z.ZodType<InputSource> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('normal'), stream: name, by: name.exactOptional() }),
  z.strictObject({ kind: z.literal('uniform'), stream: name, by: name.exactOptional() }),
  z.strictObject({ kind: z.literal('integer'), stream: name, below: count, by: name.exactOptional() }),
  z.strictObject({ kind: z.literal('index'), modulo: count.exactOptional() }),
  z.strictObject({ kind: z.literal('rows'), asset: name, by: name }),
  z.strictObject({ kind: z.literal('asset'), asset: name }),
  z.strictObject({ kind: z.literal('given'), value: name }),
  z.strictObject({ kind: z.literal('zeros') }),
  z.strictObject({ kind: z.literal('step') }),
]);

export const programSignatureSchema: z.ZodType<ProgramSignature> = z.strictObject({
  name,
  batch: count,
  parameters: list(z.strictObject({ network: name, size, tensors: list(z.strictObject({ name, shape, offset: size, size }), 65_536) }), 64),
  inputs: list(z.strictObject({ name, dtype, shape, source }), 65_536),
  stages: list(
    z.strictObject({
      graph: z.number().int().min(0).max(1_023),
      feeds: mapping,
      fetches: mapping,
      repeat: z.strictObject({ from: size, to: size }).exactOptional(),
    }),
    1_024,
  ),
  gradient: z.strictObject({ network: name, size, tensors: list(z.strictObject({ value: name, offset: size, size }), 65_536) }).exactOptional(),
  metrics: list(z.strictObject({ name, value: name }), 1_024),
  results: list(z.strictObject({ name, value: name, dtype, shape }), 1_024),
});

/**
 * What a well-formed signature still gets wrong: the first such problem, or undefined.
 * Every name that is read must have been written before; every slot must lie inside its vector.
 */
export function signatureProblem(signature: ProgramSignature, graphs: number): string | undefined {
  const values = new Set<string>();
  for (const { network, size: total, tensors } of signature.parameters) {
    for (const tensor of tensors) {
      const elements = tensor.shape.reduce((product, dimension) => product * dimension, 1);
      if (elements !== tensor.size || tensor.offset + tensor.size > total) return `the slot of ${network}/${tensor.name} does not fit`;
      if (!add(values, `${network}/${tensor.name}`)) return `${network}/${tensor.name} is declared twice`;
    }
  }
  for (const input of signature.inputs) {
    if (!add(values, input.name)) return `the input ${input.name} is declared twice`;
  }
  for (const { name: input, source: origin } of signature.inputs) {
    if (!('by' in origin) || origin.by === undefined) continue;
    const by = origin.by;
    if (!signature.inputs.some((other) => other.name === by && other.dtype === 'int64')) return `the input ${input} follows ${by}, which is no int64 input`;
  }
  for (const [index, stage] of signature.stages.entries()) {
    if (stage.graph >= graphs) return `stage ${index} runs graph ${stage.graph}, there are ${graphs}`;
    if (stage.repeat !== undefined && stage.repeat.to < stage.repeat.from) return `stage ${index} repeats backwards`;
    const unknown = Object.values(stage.feeds).find((value) => !values.has(value));
    if (unknown !== undefined) return `stage ${index} feeds ${unknown}, which nothing has written`;
    for (const value of Object.values(stage.fetches)) values.add(value);
  }
  const { gradient } = signature;
  if (gradient?.tensors.some((slot) => slot.offset + slot.size > gradient.size)) return `a gradient lies outside the vector of ${gradient.network}`;
  const read = [...(gradient?.tensors ?? []), ...signature.metrics, ...signature.results].map((reader) => reader.value);
  const missing = read.find((value) => !values.has(value));
  return missing === undefined ? undefined : `${missing} is read, but nothing has written it`;
}

function add(values: Set<string>, value: string): boolean {
  if (values.has(value)) return false;
  values.add(value);
  return true;
}
