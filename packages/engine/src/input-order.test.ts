import type { InputSource, ProgramInput, ProgramSignature } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { orderInputs } from './input-order.js';

function input(name: string, source: InputSource, change: Partial<ProgramInput> = {}): ProgramInput {
  return { name, dtype: 'int64', shape: [4], source, ...change };
}

function order(...inputs: ProgramInput[]): string[] {
  const signature: ProgramSignature = { name: 'test', batch: 4, parameters: [], inputs, stages: [], metrics: [], results: [] };
  return orderInputs(signature).map(({ name }) => name);
}

describe('inputs', () => {
  it('come after the inputs that address them', () => {
    const names = order(
      input('c', { kind: 'rows', asset: 't', by: 'b' }),
      input('b', { kind: 'rows', asset: 't', by: 'a' }),
      input('a', { kind: 'integer', stream: 's', below: 3 }),
    );
    expect(names).toEqual(['a', 'b', 'c']);
  });

  it('may not address each other in a circle, by nothing, or by another type', () => {
    const rows = (by: string): InputSource => ({ kind: 'rows', asset: 't', by });
    expect(() => order(input('a', rows('b')), input('b', rows('a')))).toThrow(/addresses itself/);
    expect(() => order(input('a', rows('a')))).toThrow(/addresses itself/);
    expect(() => order(input('a', rows('ghost')))).toThrow(/addressed by "ghost"/);
    expect(() => order(input('a', rows('x')), input('x', { kind: 'zeros' }, { dtype: 'float32' }))).toThrow(/no int64 input/);
  });

  it('have the types and shapes of their sources', () => {
    expect(() => order(input('a', { kind: 'normal', stream: 's' }))).toThrow(/gives float32, not int64/);
    expect(() => order(input('a', { kind: 'integer', stream: 's', below: 3 }, { shape: [5] }))).toThrow(/batch of 4/);
    expect(() => order(input('a', { kind: 'index' }, { shape: [4, 2] }))).toThrow(/shape \[batch\]/);
    expect(() => order(input('a', { kind: 'step' }, { shape: [1] }))).toThrow(/a scalar/);
    expect(order(input('a', { kind: 'step' }, { shape: [] }), input('b', { kind: 'zeros' }, { shape: [9] }))).toEqual(['a', 'b']);
  });
});
