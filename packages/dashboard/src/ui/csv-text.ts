/** Quoted where it has to be. A spreadsheet takes text that begins with one of = + - @ for a formula, so that it is told otherwise. */
export function csvText(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
