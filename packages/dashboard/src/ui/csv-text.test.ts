import { expect, it } from 'vitest';
import { csvText } from './csv-text.js';

it.each([
  ['plain', 'plain'],
  ['a,b', '"a,b"'],
  ['say "x"', '"say ""x"""'],
  ['two\nlines', '"two\nlines"'],
  ['=1+1', "'=1+1"],
  ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
  ['+1', "'+1"],
  ['-cmd', "'-cmd"],
  ['@SUM', "'@SUM"],
  ['\tx', "'\tx"],
])('writes %j so that no spreadsheet runs it: %j', (text, wanted) => expect(csvText(text)).toBe(wanted));
