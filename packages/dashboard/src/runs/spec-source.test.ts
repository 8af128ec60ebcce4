import { describe, expect, it } from 'vitest';
import { lineRange, MAX_SPEC_BYTES, parseOverrides, readSpecFile, sourceProblem, specBytes } from './spec-source.js';

describe('the source of a spec', () => {
  it('is counted in bytes as they are sent', () => {
    expect(specBytes('ü€😀')).toBe(9);
    expect(sourceProblem(MAX_SPEC_BYTES)).toBeUndefined();
    expect(sourceProblem(MAX_SPEC_BYTES + 1)).toMatchObject({ code: 'INVALID_SPEC', message: expect.stringContaining('65,537') as string });
  });
  it('is read from a file, unless that is too large or no text', async () => {
    expect(await readSpecFile(new Blob(['name: ü\n']))).toEqual({ text: 'name: ü\n' });
    expect(await readSpecFile(new Blob([new Uint8Array(MAX_SPEC_BYTES + 1)]))).toHaveProperty('problem.code', 'INVALID_SPEC');
    expect(await readSpecFile(new Blob([Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0xff)]))).toHaveProperty('problem.remedy', 'Choose a YAML file');
  });
  it('has lines', () => {
    const text = 'a: 1\n\nlast';
    expect([1, 2, 3, 99, 0].map((line) => text.slice(...lineRange(text, line)))).toEqual(['a: 1', '', 'last', 'last', 'a: 1']);
  });
  it('has overrides, one a line', () => {
    expect(parseOverrides(' seed=1 \n\nname= two words\n')).toEqual(['seed=1', 'name= two words']);
  });
});
