import { describe, expect, it } from 'vitest';
import { renderTable } from './table.js';
import { hasUnicode, paintFor, plain } from './terminal.js';
import { cut, printable, widthOf } from './text.js';

const ESCAPE = '\u001b';

describe('printable', () => {
  it('leaves text as it is, in any script', () => {
    expect(printable('mnist 1 x "ä" 数字')).toBe('mnist 1 x "ä" 数字');
  });

  it('makes one line of it, and lets nothing through that a terminal acts on', () => {
    expect(printable(`a\r\n  b\tc${ESCAPE}[2J${ESCAPE}]0;x\u0007 \u009b31m\u202etxt`)).toBe('a b c?[2J?]0;x? ?31m?txt');
  });
});

describe('cut', () => {
  it('counts what is seen, and closes what is open', () => {
    const styled = `${ESCAPE}[31mabcdef${ESCAPE}[39mghi`;
    expect(widthOf(styled)).toBe(9);
    expect(cut(styled, 9)).toBe(styled);
    expect(cut(styled, 5)).toBe(`${ESCAPE}[31mabcd…${ESCAPE}[0m`);
    expect(widthOf(cut(styled, 5))).toBe(5);
    expect(cut('abc', 0)).toBe('');
  });
});

describe('a table', () => {
  const columns = [{ title: 'name' }, { title: 'note', shrinksTo: 6 }, { title: 'n', align: 'right', dropped: 1 }] as const;

  it('cuts first what may be cut, then leaves out, then cuts lines', () => {
    const rows = [['a-name', 'a longer note', '12']];
    expect(renderTable(columns, rows).split('\n')[2]).toBe('a-name  a longer note  12');
    expect(renderTable(columns, rows, { width: 20 }).split('\n')[2]).toBe('a-name  a longe…  12');
    expect(renderTable(columns, rows, { width: 15 }).split('\n')[2]).toBe('a-name  a long…');
    expect(renderTable(columns, rows, { width: 8 }).split('\n')[2]).toBe('a-name …');
  });

  it('leaves out a column in which nothing stands', () => {
    expect(renderTable([{ title: 'a' }, { title: 'b', optional: true }], [['1', '']]).split('\n')[0]).toBe('a');
    expect(renderTable([{ title: 'a' }, { title: 'b', optional: true }], [['1', ''], ['2', 'x']]).split('\n')[0]).toBe('a  b');
  });

  it('aligns by what is seen, and keeps a cell to its line', () => {
    const table = renderTable([{ title: 'state' }, { title: 'x' }], [[['red', 'failed'], 'a\nb'], ['ok', `${ESCAPE}c`]], { paint: (style, text) => (style === 'red' ? `${ESCAPE}[31m${text}${ESCAPE}[39m` : text) });
    expect(table.split('\n')).toEqual(['state   x', '------  ---', `${ESCAPE}[31mfailed${ESCAPE}[39m  a b`, 'ok      ?c']);
  });
});

describe('the terminal', () => {
  const write = (): void => undefined;

  it('gets colours where it is one and has them', () => {
    expect(paintFor({ isTTY: true, hasColors: () => true, write })('red', 'x')).toBe(`${ESCAPE}[31mx${ESCAPE}[39m`);
    expect(paintFor({ isTTY: true, hasColors: () => false, write })).toBe(plain);
    expect(paintFor({ isTTY: false, hasColors: () => true, write })).toBe(plain);
  });

  it('gets ASCII where its locale says so', () => {
    expect([hasUnicode({ LANG: 'en_GB.UTF-8' }), hasUnicode({}), hasUnicode({ LC_ALL: 'C', LANG: 'en_GB.UTF-8' }), hasUnicode({ TERM: 'linux', LANG: 'C.utf8' })]).toEqual([true, true, false, false]);
  });
});
