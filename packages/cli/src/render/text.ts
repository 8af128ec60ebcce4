// Control characters are what this file is about.
/* eslint-disable no-control-regex */

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/** what `paint` puts around text */
const STYLE = /\u001b\[[\d;]*m/g;

/**
 * Text of a spec, a name or a message as one line that a terminal only shows: line ends become spaces, and what would move its
 * cursor, change its colours or turn the direction of writing becomes a question mark.
 */
export function printable(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, ' ').replaceAll('\t', ' ').replaceAll(CONTROL, '?');
}

/** Columns that a text takes, styles apart. */
export function widthOf(text: string): number {
  return [...text.replaceAll(STYLE, '')].length;
}

/** At most `width` columns of a text, the last one an ellipsis where something is missing; styles stay, and end. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let left = Math.max(0, width - 1);
  let shown = '';
  let styled = false;
  for (const part of text.split(/(\u001b\[[\d;]*m)/)) {
    if (part.startsWith('\u001b')) {
      shown += part;
      styled = true;
      continue;
    }
    const characters = [...part].slice(0, left);
    shown += characters.join('');
    left -= characters.length;
    if (left === 0) break;
  }
  return `${shown}${width > 0 ? '…' : ''}${styled ? '\u001b[0m' : ''}`;
}
