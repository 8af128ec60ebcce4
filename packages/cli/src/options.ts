import { isIP } from 'node:net';
import { Dd2Error, type RunSpec } from '@dd2/core';
import { InvalidArgumentError, Option } from 'commander';
import { parseServer } from './server-address.js';

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

/** A number above 0, with decimals if need be, for commander. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('It is a number above 0.');
}

const PRIORITY_LIMIT = 1_000;

/** A run's priority, for commander. */
export function priority(text: string): number {
  const value = Number(text);
  if (/^[+-]?\d+$/.test(text) && Math.abs(value) <= PRIORITY_LIMIT) return value;
  throw new InvalidArgumentError(`It is a whole number from -${PRIORITY_LIMIT} to ${PRIORITY_LIMIT}.`);
}

/** Collects a repeatable option. */
export const collect = (value: string, earlier: readonly string[] | undefined): string[] => [...(earlier ?? []), value];

/** Which coordinator is asked: HOST:PORT or a URL, see `parseServer`. */
export const serverOption = (): Option => new Option('--server <address>', 'coordinator to ask: HOST:PORT, or https://HOST[:PORT]').env('DD2_SERVER').default('127.0.0.1:7070').argParser(server);

/** The address of a coordinator as it was given, for commander. */
export function server(text: string): string {
  parseServer(text);
  return text;
}

export const providerOption = (description: string): Option => new Option('--provider <name>', description).choices(providers);

export const setOption = (): Option => new Option('--set <key.path=value>', 'change one value of the run spec; repeatable').argParser(collect).default([] as string[], 'none');

/** Host and port. An IPv6 host stands in brackets. */
export function address(text: string): string {
  const port = Number(/^(?:\[[^\]]+\]|[^:]+):(\d+)$/.exec(text)?.[1] ?? NaN);
  if (port >= 1 && port <= 65_535) return text;
  throw new InvalidArgumentError('It is HOST:PORT, for example 127.0.0.1:7070.');
}

/** Collects lists of host names and addresses with commas between them, for commander. */
export function hostNames(text: string, earlier: readonly string[]): string[] {
  const found = text.split(',').map((host) => host.trim());
  for (const host of found) {
    if (isIP(host) === 0 && !/^(\*\.)?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i.test(host)) {
      throw new InvalidArgumentError(`"${host}" is neither a host name nor an address.`);
    }
  }
  return [...earlier, ...found];
}

/** Where a Redis is that keeps the queues. */
export interface RedisSettings {
  readonly redisUrl?: string;
  readonly redisPasswordFile?: string;
  readonly redisCaFile?: string;
}

/** How a coordinator that stays up queues and places its runs. */
export interface QueueSettings extends RedisSettings {
  readonly minWorkers: number;
  readonly maxRuns: number;
}

/** Where a Redis is that keeps the queues, and how to be let in: `RedisSettings` in the action's options. */
export const redisOptions = (): Option[] => [
  new Option('--redis-url <url>', 'Redis that keeps the queues; rediss:// for TLS (default: they are kept in the data folder)').env('DD2_REDIS_URL'),
  new Option('--redis-password-file <file>', 'file with the password of Redis').env('DD2_REDIS_PASSWORD_FILE'),
  new Option('--redis-ca-file <file>', 'certificates of the authorities that vouch for Redis (default: those that Node.js knows)').env('DD2_REDIS_CA_FILE'),
];

export const minWorkersOption = (): Option => new Option('--min-workers <number>', 'updates wait until this many suited workers are there').argParser(wholeNumber(1)).default(1);

export const maxRunsOption = (): Option => new Option('--max-runs <number>', 'runs that are advanced at the same time; the others wait in the queue').argParser(wholeNumber(1)).default(1);

/**
 * The queue options, checked. The address may hold a password: no message repeats it.
 * @throws {Dd2Error} INVALID_ARGUMENT
 */
export function queueSettings({ minWorkers, maxRuns, ...redis }: QueueSettings): QueueSettings {
  return { ...redisSettings(redis), minWorkers, maxRuns };
}

/**
 * Where Redis is; nothing when there is to be none. What is empty counts as not given: an environment can take back what another said.
 * @throws {Dd2Error} INVALID_ARGUMENT
 */
export function redisSettings({ redisUrl, redisPasswordFile, redisCaFile }: { readonly [K in keyof RedisSettings]: RedisSettings[K] | undefined }): RedisSettings {
  const files = { ...(redisPasswordFile && { redisPasswordFile }), ...(redisCaFile && { redisCaFile }) };
  if (redisUrl === undefined && Object.keys(files).length > 0) {
    throw new Dd2Error('INVALID_ARGUMENT', 'there are files for Redis, but no address of it', { field: '--redis-url', remedy: 'Name it (also as DD2_REDIS_URL), or leave the files away' });
  }
  if (redisUrl === undefined || redisUrl === '') return {};
  if (!URL.canParse(redisUrl) || !['redis:', 'rediss:'].includes(new URL(redisUrl).protocol)) {
    throw new Dd2Error('INVALID_ARGUMENT', 'the address of the Redis server is not a URL of it', { field: '--redis-url', remedy: 'Use redis://HOST:PORT, or rediss:// for TLS (also as DD2_REDIS_URL)' });
  }
  return { redisUrl, ...files };
}

export const teacherWorkersOption = (): Option =>
  new Option('--teacher-workers <number>', 'worker processes of the teacher pool (default: one when the run spec places the teacher in a pool)').argParser(wholeNumber(0));

/** The workers that a run on this machine needs. */
export function workersFor({ execution, teacher }: RunSpec, chosen: { readonly workers: number; readonly teacherWorkers?: number | undefined }) {
  const { workers, teacherWorkers = teacher?.placement === 'pool' ? 1 : 0 } = chosen;
  return { workers, execution, teacherWorkers, teacherExecution: teacher?.execution };
}
