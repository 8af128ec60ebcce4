/** What of a terminal is used: `process.stdout`, or a stand-in. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  /** false with NO_COLOR, or where the terminal has none */
  hasColors?(): boolean;
}

const styles = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], blue: [34, 39], cyan: [36, 39] } as const;
export type Style = keyof typeof styles;

/** Text in a style, where the terminal has styles. */
export type Paint = (style: Style, text: string) => string;

/** No styles: a file, a pipe, NO_COLOR. */
export const plain: Paint = (_style, text) => text;

export function paintFor(terminal: Terminal): Paint {
  if (terminal.isTTY !== true || terminal.hasColors?.() !== true) return plain;
  return (style, text) => `\u001b[${styles[style][0]}m${text}\u001b[${styles[style][1]}m`;
}

/** Columns that tables are fitted to; a file or a pipe has room for everything. */
export function columnsOf(terminal: Terminal): number | undefined {
  return terminal.isTTY === true ? Math.max(40, terminal.columns ?? 80) : undefined;
}

/** Whether characters beyond ASCII can be shown: a locale that says otherwise is believed, none at all is not. */
export function hasUnicode(environment: NodeJS.ProcessEnv = process.env): boolean {
  const { LC_ALL, LC_CTYPE, LANG, TERM } = environment;
  if (TERM === 'linux' || TERM === 'dumb') return false;
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== '');
  return locale === undefined || /utf-?8/i.test(locale);
}
