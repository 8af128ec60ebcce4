import type { Style, Paint } from './terminal.js';
import { plain } from './terminal.js';
import { cut, printable, widthOf } from './text.js';

export type Align = 'left' | 'right';

/** Text, or text in a style. */
export type Cell = string | readonly [style: Style, text: string];

export interface Column {
  readonly title: string;
  readonly align?: Align;
  /** columns with a larger number go first when the terminal is too narrow; those without stay */
  readonly dropped?: number;
  /** is left out where no row has anything to say */
  readonly optional?: boolean;
  /** may be cut down to so many characters */
  readonly shrinksTo?: number;
}

export interface TableOptions {
  /** columns of the terminal; everything is shown without */
  readonly width?: number | undefined;
  readonly paint?: Paint;
}

const GAP = 2;

/**
 * Rows as aligned text, two spaces between columns, a line below the titles. Cells beyond the columns are left out. Where the
 * terminal is too narrow, columns are cut that may be, then left out, then lines are cut.
 */
export function renderTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], { width = Infinity, paint = plain }: TableOptions = {}): string {
  const texts = rows.map((row) => columns.map((_, i) => printable(textOf(row[i]))));
  let shown = columns.map((_, i) => i).filter((i) => columns[i]?.optional !== true || texts.some((row) => row[i] !== ''));
  const widths = columns.map(({ title }, i) => Math.max(widthOf(title), ...texts.map((row) => widthOf(row[i] ?? ''))));
  const total = (): number => shown.reduce((sum, i) => sum + (widths[i] ?? 0) + GAP, -GAP);
  const least = (): number => shown.reduce((sum, i) => sum + Math.min(widths[i] ?? 0, Math.max(widthOf(columns[i]?.title ?? ''), columns[i]?.shrinksTo ?? Infinity)) + GAP, -GAP);
  while (least() > width) {
    const next = shown.reduce<number | undefined>((worst, i) => ((columns[i]?.dropped ?? 0) > (worst === undefined ? 0 : (columns[worst]?.dropped ?? 0)) ? i : worst), undefined);
    if (next === undefined) break;
    shown = shown.filter((i) => i !== next);
  }
  for (const i of shown) {
    const { title = '', shrinksTo } = columns[i] ?? {};
    if (shrinksTo === undefined || total() <= width) continue;
    widths[i] = Math.max(widthOf(title), shrinksTo, (widths[i] ?? 0) - (total() - width));
  }
  const line = (cellOf: (i: number) => string, style: (i: number, text: string) => string = (_, text) => text): string => {
    const cells = shown.map((i, place) => {
      const room = widths[i] ?? 0;
      const text = cut(cellOf(i), room);
      const padding = ' '.repeat(Math.max(0, room - widthOf(text)));
      if (columns[i]?.align === 'right') return padding + style(i, text);
      return style(i, text) + (place === shown.length - 1 ? '' : padding);
    });
    return cut(cells.join(' '.repeat(GAP)), width).trimEnd();
  };
  return [
    line((i) => columns[i]?.title ?? '', (_, text) => paint('bold', text)),
    paint('dim', cut(shown.map((i) => '-'.repeat(widths[i] ?? 0)).join(' '.repeat(GAP)), width)),
    ...rows.map((row, r) =>
      line(
        (i) => texts[r]?.[i] ?? '',
        (i, text) => {
          const cell = row[i];
          return typeof cell === 'object' ? paint(cell[0], text) : text;
        },
      ),
    ),
  ].join('\n');
}

const textOf = (cell: Cell | undefined): string => (cell === undefined ? '' : typeof cell === 'string' ? cell : cell[1]);
