/** One family of a text in Prometheus' exposition format 0.0.4. */
export interface ParsedFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';
  readonly samples: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

const types = ['counter', 'gauge', 'histogram', 'summary', 'untyped'] as const;
const suffixes: Partial<Record<ParsedFamily['type'], readonly string[]>> = { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'] };

/**
 * Reads a text as strictly as the format allows: HELP, TYPE and then the samples of each family, in one place, each line once,
 * and the rules that `promtool check metrics` has for names of counters.
 * @throws {Error} naming the line that breaks a rule
 */
export function parsePrometheusText(text: string): Map<string, ParsedFamily> {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line feed');
  const families = new Map<string, ParsedFamily & { readonly samples: ParsedFamily['samples'][number][] }>();
  const seen = new Set<string>();
  let help: readonly [name: string, help: string] | undefined;
  let family: ReturnType<typeof families.get>;
  for (const line of text.slice(0, -1).split('\n')) {
    const fail = (why: string): Error => new Error(`${why}: ${line}`);
    if (line === '') continue;
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (help) throw fail('a HELP follows a HELP');
      if (families.has(name)) throw fail('a family comes twice');
      help = [name, rest];
    } else if (keyword === 'TYPE') {
      const type = types.find((known) => known === rest);
      if (!type || help?.[0] !== name) throw fail('a TYPE that is unknown, or does not follow its HELP');
      if (type === 'counter' && !name.endsWith('_total')) throw fail('a counter whose name does not end with _total');
      if (type !== 'counter' && name.startsWith('dd2_') && name.endsWith('_total')) throw fail('no counter, though its name ends with _total');
      family = { name, help: help[1], type, samples: [] };
      families.set(name, family);
      help = undefined;
    } else if (line.startsWith('#')) throw fail('a comment');
    else {
      if (!family || help) throw fail('a sample without HELP and TYPE');
      const sample = parseSample(line);
      if (!(suffixes[family.type] ?? ['']).some((suffix) => sample.name === `${family?.name}${suffix}`)) throw fail(`a sample that is not one of ${family.name}`);
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
      if (seen.has(key)) throw fail('a sample that was there before');
      if (family.type === 'counter' && !(sample.value >= 0)) throw fail('a counter below 0');
      seen.add(key);
      family.samples.push(sample);
    }
  }
  if (help) throw new Error('the last HELP has no TYPE');
  return families;
}

/** The value of one sample. @throws {Error} when there is none with exactly these labels */
export function sampleOf(families: ReadonlyMap<string, ParsedFamily>, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  const wanted = JSON.stringify(Object.entries(labels).sort());
  const found = family?.samples.find((sample) => sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted);
  if (!found) throw new Error(`there is no ${name} ${wanted} in ${JSON.stringify(family?.samples)}`);
  return found.value;
}

function parseSample(line: string): ParsedFamily['samples'][number] {
  const [, name = '', braces, number = ''] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$/.exec(line) ?? [];
  const value = /^nan$/i.test(number) ? NaN : /^[+-]Inf$/.test(number) ? (number.startsWith('-') ? -Infinity : Infinity) : /^-?[\d.]+(e[+-]?\d+)?$/i.test(number) ? Number(number) : undefined;
  if (name === '' || value === undefined) throw new Error(`a line that cannot be read: ${line}`);
  const labels: Record<string, string> = {};
  let rest = braces?.slice(1, -1) ?? '';
  while (rest !== '') {
    const [all, label = '', escaped = ''] = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest) ?? [];
    if (all === undefined || label in labels) throw new Error(`labels that cannot be read: ${line}`);
    labels[label] = escaped.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
    rest = rest.slice(all.length);
  }
  return { name, labels, value };
}
