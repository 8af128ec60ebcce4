import { finding, valuesOf, type Finding, type Rendering } from './objects.js';

const patterns: readonly (readonly [string, RegExp])[] = [
  ['a PEM file', /-----BEGIN/],
  ['a URL with a password', /:\/\/[^/\s:@]*:[^/\s@]+@/],
  ['a password of Redis', /^\s*(requirepass|masterauth)\s|^\s*user\s.*[>#]\S/m],
  ['a JSON Web Token', /eyJ[\w-]{10,}\.[\w-]{10,}/],
];
/** Images are pinned by digests, which are no secrets. */
const digest = /sha256:[0-9a-f]{64}/g;
const LONG = 20;
/** Bits per character: words and names stay below, tokens do not. */
const RANDOM = 3.5;

/** No Secret, and nothing that looks like the content of one. */
export function* checkSecretMaterial({ objects }: Rendering): Generator<Finding> {
  for (const object of objects) {
    if (object.kind === 'Secret') yield finding(object, '', 'a Secret in a file is none');
    for (const { value, path } of valuesOf(object)) {
      if (typeof value !== 'string') continue;
      for (const [what, pattern] of patterns) if (pattern.test(value)) yield finding(object, path, `looks like ${what}`);
      if (looksRandom(value)) yield finding(object, path, 'looks like a token: it is long and random');
    }
  }
}

/** Base64 has letters of both cases and digits, hexadecimal nothing but its digits; names in manifests are neither. */
const looksRandom = (text: string): boolean =>
  (text.replace(digest, '').match(/[\w+/-]+/g) ?? []).some((word) => word.length >= LONG && /\d/.test(word) && (/^[0-9a-f]+$/i.test(word) || (/[a-z]/.test(word) && /[A-Z]/.test(word))) && entropy(word) >= RANDOM);

function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((total, count) => total - (count / text.length) * Math.log2(count / text.length), 0);
}
