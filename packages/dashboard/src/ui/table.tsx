import type { ComponentChildren, VNode } from 'preact';

export interface Sorting<K extends string = string> {
  readonly by: K;
  readonly isDescending: boolean;
}

export interface Column<Row, K extends string = string> {
  readonly key: K;
  readonly label: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly isNumeric?: boolean;
  /** whether a click on its head sorts by it */
  readonly isSortable?: boolean;
  /** whether the first click puts the largest first */
  readonly isLargestFirst?: boolean;
  readonly class?: string;
  readonly title?: string;
}

export interface TableProps<Row, K extends string> {
  /** what the table is about; read out, not shown */
  readonly caption: string;
  readonly columns: readonly Column<Row, K>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  readonly rowClass?: (row: Row) => string;
  readonly sorting?: Sorting;
  readonly onSort?: (sorting: Sorting<K>) => void;
  /** on a narrow screen each row becomes a card */
  readonly isCards?: boolean;
  readonly class?: string;
}

/** A table; on a narrow screen, with `isCards`, each row is a card whose cells carry the names of their columns. */
export function Table<Row, K extends string>({ caption, columns, rows, rowKey, rowClass, sorting, onSort, isCards = false, class: more = '' }: TableProps<Row, K>): VNode {
  const ariaSort = (key: K): 'ascending' | 'descending' | 'none' => (sorting?.by !== key ? 'none' : sorting.isDescending ? 'descending' : 'ascending');
  // A display other than that of a table takes away what a table is to those who listen: the roles say it again.
  return (
    <div class="table-frame" role="region" aria-label={caption} tabIndex={0}>
      <table class={`table ${isCards ? 'table-cards' : ''} ${more}`} role="table">
        <caption class="visually-hidden">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <th key={column.key} scope="col" role="columnheader" class={`${column.isNumeric ? 'numeric' : ''} ${column.class ?? ''}`} title={column.title} {...(column.isSortable ? { 'aria-sort': ariaSort(column.key) } : {})}>
                {column.isSortable && onSort ? (
                  <button type="button" class="sort" onClick={() => onSort(nextSorting(sorting, column.key, column.isLargestFirst ?? false))}>
                    {column.label}
                    <span class="sort-sign" aria-hidden="true">
                      {ariaSort(column.key) === 'ascending' ? '▲' : ariaSort(column.key) === 'descending' ? '▼' : ''}
                    </span>
                  </button>
                ) : (
                  column.label
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={rowKey(row)} role="row" class={rowClass?.(row)}>
              {columns.map((column) => (
                <td key={column.key} role="cell" data-label={column.label} class={`${column.isNumeric ? 'numeric' : ''} ${column.class ?? ''}`}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The sorting after a click on a column's head: another column starts with what is looked for first, the same one turns round. */
export function nextSorting<K extends string>(sorting: Sorting | undefined, key: K, isLargestFirst: boolean): Sorting<K> {
  if (sorting?.by === key) return { by: key, isDescending: !sorting.isDescending };
  return { by: key, isDescending: isLargestFirst };
}
