import { RunState, type Checkpoint, type Run } from '@dd2/proto';
import { cycleInFull } from './cycle.js';
import { formatBytes, formatCount, formatDuration } from './format.js';
import { bestFid, lastFid, stateCell } from './run-table.js';
import { plain, type Paint } from './terminal.js';
import { printable } from './text.js';
import { localTime } from './time.js';

export interface DetailOptions {
  /** newest first; undefined where the coordinator does not tell */
  readonly checkpoints?: readonly Checkpoint[] | undefined;
  readonly paint?: Paint;
}

/** A run in full, one line for everything that is known. */
export function describeRun(run: Run, { checkpoints = [], paint = plain }: DetailOptions = {}): string {
  const percent = run.totalUpdates === 0 ? '' : ` (${Math.floor((100 * run.update) / run.totalUpdates)} %)`;
  const state = stateCell(run.state);
  const rows: readonly (readonly [name: string, value: string])[] = [
    ['run', run.runId],
    ['name', run.name],
    ['state', typeof state === 'string' ? state : paint(...state)],
    ['waits for', printable(run.waitingFor)],
    ['priority', String(run.priority)],
    ['phase', run.phase],
    ['updates', `${formatCount(run.update)} of ${formatCount(run.totalUpdates)}${percent}, ${formatCount(run.generatorUpdates)} generator updates`],
    ['cycle', cycleInFull(run)],
    ['rate', run.updatesPerSecond === undefined ? '' : `${run.updatesPerSecond.toFixed(1)} updates/s`],
    ['left', run.etaSeconds === undefined ? '' : formatDuration(run.etaSeconds)],
    ['last FID', lastFid(run)],
    ['best FID', bestFid(run)],
    ['checkpoint', newestCheckpoint(checkpoints)],
    ['submitted', localTime(run.createdAt)],
    ['changed', localTime(run.updatedAt)],
    ['error', run.error ? paint('red', printable(`${run.error.code}: ${run.error.message}`)) : ''],
    ['', run.state === RunState.PAUSED || run.state === RunState.FAILED ? paint('dim', `\`dd2 run resume ${run.runId}\` goes on from here`) : ''],
  ];
  return rows.flatMap(([name, value]) => (value === '' ? [] : [`${paint('dim', name.padEnd(10))} ${value}`])).join('\n');
}

/** `update 3,600 (11.2 MB, 2026-11-23 20:48:11), 2 others` */
function newestCheckpoint([newest, ...others]: readonly Checkpoint[]): string {
  if (newest === undefined) return '';
  const bytes = newest.files.reduce((sum, file) => sum + Number(file.bytes), 0);
  const when = newest.createdAt === undefined ? '' : `, ${localTime(newest.createdAt)}`;
  return `update ${formatCount(newest.update)} (${formatBytes(bytes)}${when})${others.length === 0 ? '' : `, ${others.length} ${others.length === 1 ? 'other' : 'others'}`}`;
}
