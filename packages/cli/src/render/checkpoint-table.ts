import type { Checkpoint, CheckpointVerdict } from '@dd2/proto';
import { formatBytes, formatCount } from './format.js';
import { renderTable, type Cell, type TableOptions } from './table.js';
import { localTime } from './time.js';

/** One row per checkpoint. */
export function renderCheckpoints(checkpoints: readonly Checkpoint[], options: TableOptions = {}): string {
  return renderTable(
    [
      { title: 'update', align: 'right' },
      { title: 'phase' },
      { title: 'generator updates', align: 'right', dropped: 3 },
      { title: 'size', align: 'right', dropped: 1 },
      { title: 'kept as', shrinksTo: 8 },
      { title: 'written', dropped: 2 },
    ],
    checkpoints.map(({ update, phase, generatorUpdates, files, keptFor, createdAt }): Cell[] => {
      // Of one whose manifest is damaged, nothing else is known.
      if (files.length === 0) return [formatCount(update), ['red', 'damaged'], '', '', keptFor.join(', '), ''];
      const bytes = files.reduce((sum, file) => sum + Number(file.bytes), 0);
      return [formatCount(update), phase, formatCount(generatorUpdates), formatBytes(bytes), keptFor.join(', '), localTime(createdAt)];
    }),
    options,
  );
}

/** One row per checkpoint that was read. */
export function renderVerdicts(verdicts: readonly CheckpointVerdict[], options: TableOptions = {}): string {
  return renderTable(
    [{ title: 'update', align: 'right' }, { title: 'verdict' }, { title: 'problem', optional: true }],
    verdicts.map(({ update, intact, error }): Cell[] => [formatCount(update), intact ? ['green', 'intact'] : ['red', 'damaged'], error?.message ?? '']),
    options,
  );
}
