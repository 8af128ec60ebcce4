import type { RunEvent } from '@dd2/proto';
import { formatCount } from './format.js';
import { plain, type Paint, type Style } from './terminal.js';
import { printable } from './text.js';
import { localTime } from './time.js';

const KIND_WIDTH = 10;
const UPDATE_WIDTH = 9;

const styles: Readonly<Record<string, Style>> = { evaluation: 'cyan', completed: 'green', failed: 'red', trouble: 'red', health: 'yellow', waiting: 'yellow', paused: 'yellow', cancelled: 'yellow' };

/** `2026-11-23 20:45:05      2,800  evaluation  FID 8.54 ...`: one line of a run's history. */
export function eventLine({ at, update, kind, message }: Pick<RunEvent, 'at' | 'update' | 'kind' | 'message'>, paint: Paint = plain): string {
  const style = styles[kind];
  const name = printable(kind).padEnd(KIND_WIDTH);
  return `${paint('dim', localTime(at).padEnd(19))}  ${formatCount(update).padStart(UPDATE_WIDTH)}  ${style === undefined ? name : paint(style, name)}  ${printable(message)}`.trimEnd();
}
