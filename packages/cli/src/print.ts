import { columnsOf, paintFor, type Paint } from './render/terminal.js';

/** Prints a result on stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints a result for programs. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** What is fitted to the terminal that stdout is, if it is one. */
export function tableOptions(): { readonly width: number | undefined; readonly paint: Paint } {
  return { width: columnsOf(process.stdout), paint: paintFor(process.stdout) };
}
