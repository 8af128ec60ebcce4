/** What the page says about a run that only its spec knows. */
export interface SpecFacts {
  /** updates of the phase tune, after which a run is measured for the first time */
  readonly tuneUpdates: number | undefined;
  /** the declared cycle of the phase distill */
  readonly cycle: { readonly guidance: number; readonly generator: number } | undefined;
}

/** Reads a complete spec as the coordinator writes it: block style, two spaces a level. What is not found is undefined. */
export function specFacts(specYaml: string): SpecFacts {
  const values = new Map<string, string>();
  const path: string[] = [];
  for (const line of specYaml.split('\n')) {
    const [, indent = '', key = '', value = ''] = /^((?: {2})*)([A-Za-z]\w*):(?: (.*))?$/.exec(line) ?? [];
    if (key === '') continue;
    path.splice(indent.length / 2, Infinity, key);
    if (value !== '') values.set(path.join('.'), value);
  }
  const count = (name: string): number | undefined => {
    const value = values.get(name) ?? '';
    return /^\d{1,12}$/.test(value) ? Number(value) : undefined;
  };
  const guidance = count('phases.distill.cycle.guidance');
  const generator = count('phases.distill.cycle.generator');
  return { tuneUpdates: count('phases.tune.updates'), cycle: guidance === undefined || generator === undefined ? undefined : { guidance, generator } };
}
