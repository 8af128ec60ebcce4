import { theme } from '../view/theme.js';

const known = new Map<string, string>();
let knownTheme: string | undefined;

/** A CSS colour as a canvas needs it: `var(--name)` is looked up in the theme that is shown, once for each theme. */
export function resolveColour(colour: string): string {
  const name = /^var\((--[\w-]+)\)$/.exec(colour)?.[1];
  if (name === undefined) return colour;
  const shown = theme.peek();
  if (knownTheme !== shown) {
    known.clear();
    knownTheme = shown;
  }
  let value = known.get(name);
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(name).trim() || '#808080';
    known.set(name, value);
  }
  return value;
}
