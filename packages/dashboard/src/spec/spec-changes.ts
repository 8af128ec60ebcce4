import { diffArrays } from 'diff';

/** A field of a spec and its value as text; a list is one value. */
export type SpecFields = ReadonlyMap<string, string>;

/**
 * The fields of a spec by dotted path, in its order. It reads what the coordinator writes: block style, two blanks a level, values
 * on the line of their key, lists of values below it. The line of a text that goes on belongs to the field before it.
 */
export function specFields(yaml: string): SpecFields {
  const fields = new Map<string, string>();
  const open: { readonly indent: number; readonly key: string }[] = [];
  let current = '';
  const append = (value: string, between: string): void => {
    const before = fields.get(current) ?? '';
    fields.set(current, before === '' ? value : `${before}${between}${value}`);
  };
  for (const line of yaml.split('\n')) {
    const found = /^(\s*)(?:(-)(?:\s+(.*))?|([\w-]+):(?:\s+(.*))?|(.*))$/.exec(line);
    const [, blanks = '', dash, item = '', key, value = '', more = ''] = found ?? [];
    if (dash !== undefined) append(item, ', ');
    else if (key !== undefined) {
      while (open.length > 0 && (open[open.length - 1]?.indent ?? 0) >= blanks.length) open.pop();
      open.push({ indent: blanks.length, key });
      current = open.map((one) => one.key).join('.');
      if (value !== '') fields.set(current, value);
    } else if (more.trim() !== '' && current !== '') append(more.trim(), ' ');
  }
  return fields;
}

export interface FieldChange {
  readonly path: string;
  /** undefined: the field is not there */
  readonly a: string | undefined;
  readonly b: string | undefined;
}

/** The fields whose values differ, those of `a` in its order first, then those that only `b` has. */
export function changedFields(a: SpecFields, b: SpecFields): readonly FieldChange[] {
  return [...new Set([...a.keys(), ...b.keys()])].map((path) => ({ path, a: a.get(path), b: b.get(path) })).filter((change) => change.a !== change.b);
}

export interface DiffLine {
  /** line number from 1 */
  readonly number: number;
  readonly text: string;
}

/** A row of the comparison; a gap stands for equal lines that are not shown. */
export type DiffRow = { readonly kind: 'same' | 'changed'; readonly a: DiffLine | undefined; readonly b: DiffLine | undefined } | { readonly kind: 'gap'; readonly lines: number };

/** The lines of two texts side by side: removed and added lines that stand together share rows. */
export function diffRows(a: string, b: string): readonly DiffRow[] {
  const rows: DiffRow[] = [];
  let removed: DiffLine[] = [];
  let added: DiffLine[] = [];
  let [atA, atB] = [1, 1];
  const pair = (): void => {
    for (let index = 0; index < Math.max(removed.length, added.length); index++) rows.push({ kind: 'changed', a: removed[index], b: added[index] });
    removed = [];
    added = [];
  };
  for (const part of diffArrays(a.trimEnd().split('\n'), b.trimEnd().split('\n'))) {
    for (const text of part.value) {
      if (part.removed) removed.push({ number: atA++, text });
      else if (part.added) added.push({ number: atB++, text });
      else {
        pair();
        rows.push({ kind: 'same', a: { number: atA++, text }, b: { number: atB++, text } });
      }
    }
  }
  pair();
  return rows;
}

/** Leaves out equal lines that are farther than `context` from every change. */
export function withGaps(rows: readonly DiffRow[], context: number): readonly DiffRow[] {
  const near = rows.map((_, index) => rows.slice(Math.max(0, index - context), index + context + 1).some(({ kind }) => kind === 'changed'));
  const shown: DiffRow[] = [];
  let hidden = 0;
  for (const [index, row] of rows.entries()) {
    if (!near[index]) {
      hidden += 1;
      continue;
    }
    if (hidden > 0) shown.push({ kind: 'gap', lines: hidden });
    hidden = 0;
    shown.push(row);
  }
  if (hidden > 0) shown.push({ kind: 'gap', lines: hidden });
  return shown;
}
