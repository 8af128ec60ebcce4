import { Dd2Error } from '@dd2/core';
import type { EmbeddedInspection, RedisAddress, RedisInspection } from '@dd2/coordinator/inspect-store';
import type { Finding } from './finding.js';

const CHECK = 'queue store';
const LEAST_REDIS = [6, 2] as const;
const SLOW_MS = 100;

/** Whether the embedded queue store opens here. */
export async function checkEmbeddedStore(inspect: () => Promise<EmbeddedInspection> = async () => (await import('@dd2/coordinator/inspect-store')).inspectEmbeddedStore()): Promise<Finding> {
  try {
    const { milliseconds } = await inspect();
    return { check: CHECK, status: 'ok', message: `embedded: opens in ${(milliseconds / 1_000).toFixed(1)} s`, details: { kind: 'embedded', milliseconds: Math.round(milliseconds) } };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return { check: CHECK, status: 'problem', message: `the embedded store does not open: ${why}`, remedy: 'Is the folder for temporary files writable, and is there memory? Or keep the queues on Redis (--redis-url)' };
  }
}

/** Whether a Redis server will keep what is queued. */
export async function checkRedis(address: RedisAddress, inspect: (address: RedisAddress) => Promise<RedisInspection> = async (asked) => (await import('@dd2/coordinator/inspect-store')).inspectRedis(asked)): Promise<Finding[]> {
  const { url } = address;
  if (!URL.canParse(url) || !['redis:', 'rediss:'].includes(new URL(url).protocol)) {
    return [{ check: CHECK, status: 'problem', message: 'the address of the Redis server is not a URL of it', remedy: 'Use redis://HOST:PORT, or rediss:// for TLS (--redis-url, DD2_REDIS_URL)' }];
  }
  // Neither user nor password.
  const where = new URL(url).host;
  let found: RedisInspection;
  try {
    found = await inspect(address);
  } catch (thrown) {
    if (thrown instanceof Dd2Error && thrown.code === 'INVALID_ARGUMENT') return [{ check: CHECK, status: 'problem', message: thrown.problem, remedy: thrown.remedy ?? '' }];
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return [{ check: CHECK, status: 'problem', message: `Redis at ${where} does not answer: ${why}`, remedy: 'Start it, or correct --redis-url; without one the queues are kept in the data folder' }];
  }
  const { version, maxmemoryPolicy, appendOnly, snapshots, role, milliseconds } = found;
  const details = { kind: 'redis', ...found, milliseconds: Number(milliseconds.toFixed(1)) };
  const findings: Finding[] = [];
  const add = (status: Finding['status'], message: string, remedy: string): void => void findings.push({ check: CHECK, status, message: `Redis at ${where}: ${message}`, remedy, details });
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (role === 'slave') add('problem', 'it is a replica, which takes no jobs', 'Name the primary with --redis-url');
  if (major < LEAST_REDIS[0] || (major === LEAST_REDIS[0] && minor < LEAST_REDIS[1])) add('warning', `version ${version} is older than the queue is made for`, `Use Redis ${LEAST_REDIS.join('.')} or newer`);
  if (maxmemoryPolicy !== '' && maxmemoryPolicy !== 'noeviction') add('problem', `maxmemory-policy is ${maxmemoryPolicy}: it may throw jobs away when its memory is full`, 'Set `maxmemory-policy noeviction` in its configuration');
  if (!appendOnly && !snapshots) add('warning', 'it keeps nothing when it is restarted', 'Set `appendonly yes`; without it runs are queued again from their folders, which loses no run');
  if (milliseconds > SLOW_MS) add('warning', `it answers in ${Math.round(milliseconds)} ms`, 'Use one that is nearer to the coordinator');
  if (findings.length > 0) return findings;
  return [{ check: CHECK, status: 'ok', message: `Redis ${version} at ${where}, ${maxmemoryPolicy || 'policy unknown'}, ${appendOnly ? 'append-only file' : 'snapshots'}, answers in ${milliseconds.toFixed(1)} ms`, details }];
}
