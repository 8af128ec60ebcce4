export type TokenKind = 'key' | 'number' | 'word' | 'text' | 'comment' | 'sign';

export interface Token {
  /** undefined for what is not coloured */
  readonly kind: TokenKind | undefined;
  readonly text: string;
}

const patterns: readonly (readonly [TokenKind, RegExp])[] = [
  ['comment', /^#.*/],
  ['text', /^"(?:[^"\\]|\\.)*"?|^'(?:[^']|'')*'?/],
  ['key', /^[\w./-]+(?=\s*:(?:\s|$))/],
  ['number', /^[-+]?(?:\d[\d_]*)?\.?\d+(?:[eE][-+]?\d+)?(?=$|[\s,\]}])/],
  ['word', /^(?:true|false|null|~)(?=$|[\s,\]}])/],
  ['sign', /^[-:,[\]{}](?=$|[\s\w"'[\]{}#,-])/],
  ['text', /^[^\s#,[\]{}:][^,[\]{}:]*?(?=$|\s+#|[,\]}]|:(?:\s|$))/],
];

/** One line of YAML in parts to be coloured. Together they are the line; what is not understood is not coloured. */
export function yamlTokens(line: string): readonly Token[] {
  const tokens: Token[] = [];
  let rest = line;
  while (rest !== '') {
    const space = /^\s+/.exec(rest)?.[0];
    const found = space === undefined ? patterns.map(([kind, pattern]) => ({ kind, text: pattern.exec(rest)?.[0] ?? '' })).find(({ text }) => text !== '') : undefined;
    const token: Token = found ?? { kind: undefined, text: space ?? rest.charAt(0) };
    tokens.push(token);
    rest = rest.slice(token.text.length);
  }
  return tokens;
}
