import { expect, it } from 'vitest';
import { yamlTokens } from './yaml-tokens.js';

const kinds = (line: string): string[] => yamlTokens(line).flatMap(({ kind, text }) => (kind === undefined ? [] : [`${kind} ${text}`]));

it('colours what specs are made of', () => {
  expect(kinds('    learningRate: 1.0e-3 # slow')).toEqual(['key learningRate', 'sign :', 'number 1.0e-3', 'comment # slow']);
  expect(kinds('  - -0.5')).toEqual(['sign -', 'number -0.5']);
  expect(kinds('stratified: true')).toEqual(['key stratified', 'sign :', 'word true']);
  expect(kinds('assets: "a # b: c"')).toEqual(['key assets', 'sign :', 'text "a # b: c"']);
  expect(kinds('cycle: { guidance: 3 }')).toEqual(['key cycle', 'sign :', 'sign {', 'key guidance', 'sign :', 'number 3', 'sign }']);
  expect(kinds('decay: cosine')).toEqual(['key decay', 'sign :', 'text cosine']);
});

it.each(['', '   ', 'a: <script>alert(1)</script>', "'unclosed", '"\\', ':::', '\u0000\uffff😀 €: [x, {y', '- - - ?', '%TAG ! x'])('gives back every character of %j', (line) => {
  expect(
    yamlTokens(line)
      .map(({ text }) => text)
      .join(''),
  ).toBe(line);
});
