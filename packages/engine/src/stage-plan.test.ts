import type { ProgramSignature, ProgramStage } from '@dd2/core';
import { describe, expect, it } from 'vitest';
import { planStages } from './stage-plan.js';

function signature(stages: ProgramStage[], results: string[]): ProgramSignature {
  return {
    name: 'test',
    batch: 1,
    parameters: [{ network: 'net', size: 1, tensors: [{ name: 'w', shape: [1], offset: 0, size: 1 }] }],
    inputs: ['x', 'cache'].map((name) => ({ name, dtype: 'float32', shape: [1], source: { kind: 'zeros' } })),
    stages,
    metrics: [],
    results: results.map((value) => ({ name: value, value, dtype: 'float32', shape: [1] })),
  };
}

describe('a plan', () => {
  it('fetches only what is read later, and frees what is not', () => {
    const [first, second] = planStages(signature([
      { graph: 0, feeds: { a: 'x', w: 'net/w' }, fetches: { h: 'hidden', extra: 'extra', r: 'result' } },
      { graph: 1, feeds: { h: 'hidden' }, fetches: { y: 'y', z: 'z' } },
    ], ['y', 'result']));
    expect(first?.last).toEqual([['h', 'hidden'], ['r', 'result']]);
    expect(first?.dead).toEqual(['x', 'net/w']);
    expect(second?.last).toEqual([['y', 'y']]);
    expect(second?.dead).toEqual(['hidden']);
  });

  it('fetches a value again only where it is overwritten before it is read', () => {
    const [first] = planStages(signature([
      { graph: 0, feeds: { a: 'x' }, fetches: { h: 'hidden', k: 'kept' } },
      { graph: 0, feeds: { a: 'kept' }, fetches: { h: 'hidden' } },
    ], ['hidden']));
    expect(first?.last).toEqual([['k', 'kept']]);
  });

  it('carries the state of a repeated stage, and drops it with the last step', () => {
    const [repeated] = planStages(signature([
      { graph: 0, feeds: { c: 'cache', x: 'x' }, fetches: { c: 'cache', y: 'y' }, repeat: { from: 0, to: 4 } },
    ], ['y']));
    expect(repeated?.inner).toEqual([['c', 'cache']]);
    expect(repeated?.last).toEqual([['y', 'y']]);
    expect(repeated?.dead).toEqual(['cache', 'x']);
  });

  it('leaves out stages that contribute nothing', () => {
    const stage = (from: string, to: string, repeat?: { from: number; to: number }): ProgramStage => ({
      graph: 0, feeds: { a: from }, fetches: { b: to }, ...(repeat === undefined ? {} : { repeat }),
    });
    const plans = planStages(signature([stage('x', 'x', { from: 2, to: 2 }), stage('x', 'dead'), stage('dead', 'deader'), stage('x', 'y')], ['y']));
    expect(plans.map((plan) => plan?.last)).toEqual([undefined, undefined, undefined, [['b', 'y']]]);
  });

  it('names a value that nobody writes', () => {
    expect(() => planStages(signature([{ graph: 0, feeds: { a: 'ghost' }, fetches: {} }], []))).toThrow(/stage 0 reads "ghost"/);
    expect(() => planStages(signature([], ['ghost']))).toThrow(/the signature reads "ghost"/);
    const never = { graph: 0, feeds: { a: 'x' }, fetches: { b: 'y' }, repeat: { from: 1, to: 1 } };
    expect(() => planStages(signature([never], ['y']))).toThrow(/the signature reads "y"/);
  });
});
