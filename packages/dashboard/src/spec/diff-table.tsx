import type { VNode } from 'preact';
import { YamlLine } from './yaml-lines.js';
import type { DiffLine, DiffRow } from './spec-changes.js';

/** Lines of two texts: beside each other, or removed lines above the added ones. */
export function DiffTable({ rows, isSplit, names: [a, b] }: { readonly rows: readonly DiffRow[]; readonly isSplit: boolean; readonly names: readonly [string, string] }): VNode {
  return (
    <div class="diff-frame" role="region" aria-label={`Lines of ${a} and ${b}`} tabIndex={0}>
      <table class={isSplit ? 'diff diff-split' : 'diff'}>
        <caption class="visually-hidden">
          Lines of the specs of {a} and {b}
        </caption>
        <thead>
          {isSplit ? (
            <tr>
              <th scope="col" colSpan={2}>
                {a}
              </th>
              <th scope="col" colSpan={2}>
                {b}
              </th>
            </tr>
          ) : (
            <tr>
              <th scope="col" colSpan={2}>
                Line
              </th>
              <th scope="col">
                − {a}, + {b}
              </th>
            </tr>
          )}
        </thead>
        <tbody>{rows.flatMap((row, index) => (row.kind === 'gap' ? [<Gap key={index} lines={row.lines} columns={isSplit ? 4 : 3} />] : isSplit ? [<SplitRow key={index} row={row} />] : unifiedRows(row, index)))}</tbody>
      </table>
    </div>
  );
}

type LineRow = Exclude<DiffRow, { readonly kind: 'gap' }>;

function Gap({ lines, columns }: { readonly lines: number; readonly columns: number }): VNode {
  return (
    <tr class="diff-gap">
      <td colSpan={columns}>
        {lines} equal {lines === 1 ? 'line' : 'lines'}
      </td>
    </tr>
  );
}

function SplitRow({ row }: { readonly row: LineRow }): VNode {
  const isChanged = row.kind === 'changed';
  return (
    <tr>
      <Side line={row.a} mark={isChanged ? '−' : ' '} tone={isChanged && row.a ? 'diff-removed' : ''} />
      <Side line={row.b} mark={isChanged ? '+' : ' '} tone={isChanged && row.b ? 'diff-added' : ''} />
    </tr>
  );
}

function Side({ line, mark, tone }: { readonly line: DiffLine | undefined; readonly mark: string; readonly tone: string }): VNode {
  return (
    <>
      <td class={`diff-number ${tone}`}>{line?.number}</td>
      <td class={tone}>{line && <Marked mark={mark} text={line.text} />}</td>
    </>
  );
}

/** The sign before the line says what the colour says. */
function Marked({ mark, text }: { readonly mark: string; readonly text: string }): VNode {
  return (
    <>
      {mark} <YamlLine line={text} />
    </>
  );
}

function unifiedRows(row: LineRow, index: number): VNode[] {
  if (row.kind === 'same') return [<UnifiedRow key={index} a={row.a} b={row.b} mark=" " tone="" />];
  return [...(row.a ? [<UnifiedRow key={`${index}a`} a={row.a} b={undefined} mark="−" tone="diff-removed" />] : []), ...(row.b ? [<UnifiedRow key={`${index}b`} a={undefined} b={row.b} mark="+" tone="diff-added" />] : [])];
}

function UnifiedRow({ a, b, mark, tone }: { readonly a: DiffLine | undefined; readonly b: DiffLine | undefined; readonly mark: string; readonly tone: string }): VNode {
  return (
    <tr class={tone}>
      <td class="diff-number">{a?.number}</td>
      <td class="diff-number">{b?.number}</td>
      <td>
        <Marked mark={mark} text={(a ?? b)?.text ?? ''} />
      </td>
    </tr>
  );
}
