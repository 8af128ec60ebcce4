import { describe, expect, it } from 'vitest';
import { changedFields, diffRows, specFields, withGaps, type DiffRow } from './spec-changes.js';

const spec = `name: mnist
seed: 0
phases:
  tune:
    optimizer:
      betas:
        - 0.9
        - 0.99
      clip: 0
    ema: 0.995
  distill:
    align: 100
assets: "a long path: with a colon"
`;

describe('fields of a spec', () => {
  it('are named by their path', () => {
    expect([...specFields(spec)]).toEqual([
      ['name', 'mnist'],
      ['seed', '0'],
      ['phases.tune.optimizer.betas', '0.9, 0.99'],
      ['phases.tune.optimizer.clip', '0'],
      ['phases.tune.ema', '0.995'],
      ['phases.distill.align', '100'],
      ['assets', '"a long path: with a colon"'],
    ]);
  });
  it('have texts that go on in the next line whole', () => {
    expect([...specFields('assets: one\n  two\nseed: 0\n')]).toEqual([
      ['assets', 'one two'],
      ['seed', '0'],
    ]);
  });
  it('that differ are told with both values', () => {
    const other = spec.replace('seed: 0', 'seed: 1').replace('0.99\n', '0.999\n').replace('    align: 100\n', '').concat('priority: 3\n');
    expect(changedFields(specFields(spec), specFields(other))).toEqual([
      { path: 'seed', a: '0', b: '1' },
      { path: 'phases.tune.optimizer.betas', a: '0.9, 0.99', b: '0.9, 0.999' },
      { path: 'phases.distill.align', a: '100', b: undefined },
      { path: 'priority', a: undefined, b: '3' },
    ]);
    expect(changedFields(specFields(spec), specFields(spec))).toEqual([]);
  });
});

describe('lines side by side', () => {
  const sides = (rows: readonly DiffRow[], side: 'a' | 'b'): string[] => rows.flatMap((row) => (row.kind !== 'gap' && row[side] ? [row[side].text] : []));
  it('lose nothing and number each side on its own', () => {
    const other = `version: 2\n${spec.replace('seed: 0', 'seed: 1').replace('      clip: 0\n', '')}`;
    const rows = diffRows(spec, other);
    expect(sides(rows, 'a')).toEqual(spec.trimEnd().split('\n'));
    expect(sides(rows, 'b')).toEqual(other.trimEnd().split('\n'));
    expect(rows.filter(({ kind }) => kind === 'changed')).toEqual([
      { kind: 'changed', a: undefined, b: { number: 1, text: 'version: 2' } },
      { kind: 'changed', a: { number: 2, text: 'seed: 0' }, b: { number: 3, text: 'seed: 1' } },
      { kind: 'changed', a: { number: 9, text: '      clip: 0' }, b: undefined },
    ]);
  });
  it('leave out equal lines far from changes, and say how many', () => {
    const a = Array.from({ length: 30 }, (_, index) => `line ${index}`).join('\n');
    const shown = withGaps(diffRows(a, a.replace('line 15', 'changed')), 2);
    expect(shown.map((row) => (row.kind === 'gap' ? row.lines : row.a?.number))).toEqual([13, 14, 15, 16, 17, 18, 12]);
    expect(withGaps(diffRows(a, a), 2)).toEqual([{ kind: 'gap', lines: 30 }]);
  });
});
