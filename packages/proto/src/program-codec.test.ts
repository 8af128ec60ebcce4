import { Dd2Error, type Program, type ProgramSignature } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { decodeProgram, encodeProgram, programId } from './program-codec.js';

const signature: ProgramSignature = {
  name: 'distill.generator',
  batch: 4,
  parameters: [{ network: 'generator', size: 6, tensors: [{ name: 'backbone.class', shape: [2, 3], offset: 0, size: 6 }] }],
  inputs: [
    { name: 'class', dtype: 'int64', shape: [4], source: { kind: 'integer', stream: 'class', below: 10 } },
    { name: 'noise', dtype: 'float32', shape: [4, 9], source: { kind: 'normal', stream: 'noise', by: 'class' } },
    { name: 'images', dtype: 'uint8', shape: [4, 28, 28], source: { kind: 'rows', asset: 'train.images', by: 'class' } },
    { name: 'context', dtype: 'int64', shape: [4, 9], source: { kind: 'given', value: 'tokens' } },
    { name: 'cache', dtype: 'float32', shape: [4, 9], source: { kind: 'zeros' } },
    { name: 'step', dtype: 'int64', shape: [], source: { kind: 'step' } },
    { name: 'index', dtype: 'int64', shape: [4], source: { kind: 'index', modulo: 10 } },
    { name: 'u', dtype: 'float32', shape: [4], source: { kind: 'uniform', stream: 'u' } },
    { name: 'marginals', dtype: 'float32', shape: [10, 9, 5], source: { kind: 'asset', asset: 'naive.marginals' } },
  ],
  stages: [
    { graph: 0, feeds: { x: 'noise', w: 'generator/backbone.class' }, fetches: { y: 'tokens' } },
    { graph: 1, feeds: { y: 'tokens', c: 'cache', s: 'step' }, fetches: { c: 'cache', g: 'gradient', l: 'loss' }, repeat: { from: 0, to: 9 } },
  ],
  gradient: { network: 'generator', size: 6, tensors: [{ value: 'gradient', offset: 0, size: 6 }] },
  metrics: [{ name: 'loss', value: 'loss' }],
  results: [{ name: 'tokens', value: 'tokens', dtype: 'int64', shape: [4, 9] }],
};
const program: Program = { signature, graphs: [Uint8Array.of(1, 2, 3), new Uint8Array(0)] };
const bytesOf = (value: Program): Buffer => Buffer.concat(encodeProgram(value));

/** The container around any signature text. */
function container(text: string, graphs: readonly Uint8Array[] = program.graphs): Buffer {
  const u64 = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  const json = Buffer.from(text);
  return Buffer.concat([bytesOf(program).subarray(0, 8), u64(json.length), json, u64(graphs.length), ...graphs.flatMap((graph) => [u64(graph.length), graph])]);
}

function refusal(run: () => unknown): Dd2Error {
  try {
    run();
  } catch (error) {
    if (error instanceof Dd2Error) return error;
    throw error;
  }
  throw new TypeError('it was accepted');
}

describe('programs as bytes', () => {
  it('survive', () => {
    const decoded = decodeProgram(bytesOf(program));
    expect(decoded.signature).toEqual(signature);
    expect(decoded.graphs.map((graph) => [...graph])).toEqual([[1, 2, 3], []]);
  });

  it('are encoded without a copy of the graphs, and decoded as views', () => {
    expect(encodeProgram(program)).toContain(program.graphs[0]);
    const bytes = bytesOf(program);
    expect(decodeProgram(bytes).graphs[0]?.buffer).toBe(bytes.buffer);
  });

  it('have an id that depends on their content and not on the order of keys', () => {
    const reordered = JSON.parse(JSON.stringify(signature)) as ProgramSignature;
    const shuffled = Object.fromEntries(Object.entries(reordered).reverse()) as unknown as ProgramSignature;
    expect(programId({ signature: shuffled, graphs: program.graphs })).toBe(programId(program));
    expect(programId({ signature: { ...signature, batch: 5 }, graphs: program.graphs })).not.toBe(programId(program));
    expect(programId({ signature, graphs: [Uint8Array.of(1, 2), Uint8Array.of(3)] })).not.toBe(programId(program));
    expect(programId(program)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('are refused at every truncation, and with anything after the end', () => {
    const bytes = bytesOf(program);
    for (let length = 0; length < bytes.length; length++) expect(refusal(() => decodeProgram(bytes.subarray(0, length))).code).toBe('PROTOCOL');
    expect(refusal(() => decodeProgram(Buffer.concat([bytes, Buffer.from([0])]))).code).toBe('PROTOCOL');
  });

  it('are refused with another magic, version, or beyond the limits', () => {
    for (const position of [0, 4]) {
      const bytes = bytesOf(program);
      bytes.writeUInt8(99, position);
      expect(refusal(() => decodeProgram(bytes)).code).toBe('PROTOCOL');
    }
    const bytes = bytesOf(program);
    expect(refusal(() => decodeProgram(bytes, { maxBytes: bytes.length - 1 })).code).toBe('PROTOCOL');
    expect(refusal(() => decodeProgram(bytes, { maxSignatureBytes: 10 })).code).toBe('PROTOCOL');
    const huge = bytesOf(program);
    huge.writeBigUInt64LE(2n ** 64n - 1n, 8);
    expect(refusal(() => decodeProgram(huge)).code).toBe('PROTOCOL');
    expect(refusal(() => decodeProgram(container(JSON.stringify(signature), Array<Uint8Array>(1_025).fill(new Uint8Array(0))))).message).toContain('1025 graphs');
  });

  it('name the field that is wrong', () => {
    const text = (change: (value: { [key: string]: unknown }) => void): string => {
      const value = JSON.parse(JSON.stringify(signature)) as { [key: string]: unknown };
      change(value);
      return JSON.stringify(value);
    };
    const cases: [string, string][] = [
      [text((value) => (value['batch'] = 0)), 'signature.batch'],
      [text((value) => (value['batch'] = '4')), 'signature.batch'],
      [text((value) => (value['surprise'] = 1)), 'signature'],
      [text((value) => delete value['stages']), 'signature.stages'],
      [text((value) => (value['inputs'] = [{ name: 'x', dtype: 'float16', shape: [], source: { kind: 'zeros' } }])), 'signature.inputs.0.dtype'],
      [text((value) => (value['inputs'] = [{ name: 'x', dtype: 'float32', shape: [], source: { kind: 'file', path: '/etc/passwd' } }])), 'signature.inputs.0.source.kind'],
      [text((value) => (value['inputs'] = [{ name: 'x', dtype: 'float32', shape: Array(9).fill(1), source: { kind: 'zeros' } }])), 'signature.inputs.0.shape'],
      ['{"name":', 'signature'],
      ['[]', 'signature'],
      ['null', 'signature'],
    ];
    for (const [json, field] of cases) expect(refusal(() => decodeProgram(container(json)))).toMatchObject({ code: 'PROTOCOL', field });
  });

  it('cannot reach a prototype', () => {
    const polluted = JSON.stringify(signature).replace('"x":"noise"', '"__proto__":"noise"');
    expect(polluted).toContain('__proto__');
    expect(refusal(() => decodeProgram(container(polluted))).code).toBe('PROTOCOL');
    expect(refusal(() => decodeProgram(container('{"__proto__":{"batch":4}}'))).code).toBe('PROTOCOL');
    expect(Object.hasOwn(Object.prototype, 'batch')).toBe(false);
  });

  const [layout] = signature.parameters;
  const inconsistent: [string, Partial<ProgramSignature>][] = [
    ['a stage that runs a graph that is not there', { stages: [{ graph: 2, feeds: {}, fetches: {} }] }],
    ['a feed that nothing has written', { stages: [{ graph: 0, feeds: { x: 'later' }, fetches: {} }] }],
    ['a stage that repeats backwards', { stages: [{ graph: 0, feeds: {}, fetches: {}, repeat: { from: 2, to: 1 } }] }],
    ['a metric that nothing has written', { metrics: [{ name: 'loss', value: 'nothing' }] }],
    ['a result that nothing has written', { results: [{ name: 'r', value: 'nothing', dtype: 'float32', shape: [] }] }],
    ['a gradient outside its vector', { gradient: { network: 'generator', size: 6, tensors: [{ value: 'gradient', offset: 1, size: 6 }] } }],
    ['a parameter outside its vector', { parameters: [{ network: 'generator', size: 5, tensors: layout?.tensors ?? [] }] }],
    ['a parameter whose size is not its shape', { parameters: [{ network: 'generator', size: 6, tensors: [{ name: 'backbone.class', shape: [2], offset: 0, size: 6 }] }] }],
    ['an input declared twice', { inputs: [...signature.inputs, ...signature.inputs.slice(0, 1)] }],
    ['an input that follows one that is not int64', { inputs: [...signature.inputs, { name: 'z', dtype: 'float32', shape: [4], source: { kind: 'normal', stream: 's', by: 'u' } }] }],
  ];
  it.each(inconsistent)('with %s are refused on both sides', (_name, change) => {
    const wrong = { ...signature, ...change };
    expect(refusal(() => encodeProgram({ signature: wrong, graphs: program.graphs })).code).toBe('INVALID_ARGUMENT');
    expect(refusal(() => decodeProgram(container(JSON.stringify(wrong)))).code).toBe('PROTOCOL');
  });
});
