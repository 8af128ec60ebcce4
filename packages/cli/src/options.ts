import { InvalidArgumentError, Option } from 'commander';

export const providers = ['cpu', 'webgpu', 'cuda'] as const;
export type Provider = (typeof providers)[number];

/** A whole number from `least` on, for commander. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It is a whole number of at least ${least}.`);
  };
}

/** Collects a repeatable option. */
export const collect = (value: string, earlier: readonly string[] | undefined): string[] => [...(earlier ?? []), value];

export const serverOption = (): Option => new Option('--server <host:port>', 'coordinator to ask').env('DD2_SERVER').default('127.0.0.1:7070').argParser(address);

export const providerOption = (description: string): Option => new Option('--provider <name>', description).choices(providers);

export const setOption = (): Option => new Option('--set <key.path=value>', 'change one value of the run spec; repeatable').argParser(collect).default([] as string[], 'none');

/** Host and port. An IPv6 host stands in brackets. */
export function address(text: string): string {
  const port = Number(/^(?:\[[^\]]+\]|[^:]+):(\d+)$/.exec(text)?.[1] ?? NaN);
  if (port >= 1 && port <= 65_535) return text;
  throw new InvalidArgumentError('It is HOST:PORT, for example 127.0.0.1:7070.');
}
