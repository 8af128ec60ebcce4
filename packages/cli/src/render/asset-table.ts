import type { PushedAssets } from '@dd2/proto';
import { formatBytes } from './format.js';
import { renderTable, type Cell, type TableOptions } from './table.js';
import { localTime } from './time.js';

/** Characters of a SHA-256 that are shown: enough to tell bundles apart. */
const SHOWN = 12;

/** One row per asset bundle that was pushed. */
export function renderAssets(bundles: readonly PushedAssets[], options: TableOptions = {}): string {
  return renderTable(
    [{ title: 'sha256' }, { title: 'name', shrinksTo: 12 }, { title: 'size', align: 'right' }, { title: 'pushed', dropped: 1 }, { title: 'needed by', optional: true, shrinksTo: 16 }],
    bundles.map(({ manifestSha256, name, bytes, pushedAt, neededBy }): Cell[] => [
      manifestSha256.slice(0, SHOWN),
      name === '' ? ['red', 'damaged'] : name,
      formatBytes(Number(bytes)),
      localTime(pushedAt),
      neededBy.join(', '),
    ]),
    options,
  );
}
