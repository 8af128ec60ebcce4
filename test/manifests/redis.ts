import type { IConfigMap } from 'kubernetes-models/v1';
import { containersOf, finding, ofKind, podsOf, type Finding, type Rendering } from './objects.js';
import { parseQuantity } from './quantities.js';

const units: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1e3, kb: 2 ** 10, m: 1e6, mb: 2 ** 20, g: 1e9, gb: 2 ** 30 };

/** Redis keeps every job, speaks TLS only, asks for a password and stays within its memory. */
export function* checkRedis(rendering: Rendering): Generator<Finding> {
  for (const pod of podsOf(rendering)) {
    for (const { container, path } of containersOf(pod)) {
      if (container.command?.[0] !== 'redis-server') continue;
      const names = (pod.spec.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
      const map = ofKind<IConfigMap>(rendering, 'ConfigMap').find(({ metadata }) => names.includes(metadata.name));
      const settings = parseConfiguration(Object.values(map?.data ?? {}).join('\n'));
      const wrong = (name: string, message: string) => finding(map ?? pod.owner, `redis.conf ${name}`, message);
      const needed = { 'maxmemory-policy': 'noeviction', appendonly: 'yes', port: '0' };
      for (const [name, value] of Object.entries(needed)) if (settings.get(name) !== value) yield wrong(name, `is ${settings.get(name) ?? 'missing'}, not ${value}`);
      for (const name of ['aclfile', 'tls-cert-file', 'tls-key-file']) if (!settings.has(name)) yield wrong(name, 'is missing');
      if (!container.ports?.some(({ containerPort }) => String(containerPort) === settings.get('tls-port'))) yield wrong('tls-port', `is ${settings.get('tls-port') ?? 'missing'}, which is no port of the container`);
      const [limit, most] = [parseQuantity(String(container.resources?.limits?.['memory'])), parseMemory(settings.get('maxmemory') ?? '')];
      if (limit === undefined || most === undefined || most === 0 || most >= limit) yield wrong('maxmemory', `is ${settings.get('maxmemory') ?? 'missing'}, which is not less than the limit ${container.resources?.limits?.['memory'] ?? ''} at ${path}.resources.limits.memory`);
      const data = container.volumeMounts?.find(({ mountPath }) => mountPath === settings.get('dir'));
      if (!data || !pod.claims.includes(data.name)) yield wrong('dir', `is ${settings.get('dir') ?? 'missing'}, where no claim is mounted`);
    }
  }
}

/** Settings by name; the last one counts. */
function parseConfiguration(text: string): Map<string, string> {
  const lines = text.split('\n').map((line) => /^\s*([\w-]+)\s+(.*?)\s*$/.exec(line));
  return new Map(lines.flatMap((match) => (match?.[1] === undefined ? [] : [[match[1], match[2] ?? ''] as const])));
}

function parseMemory(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d+)([a-z]*)$/.exec(text.toLowerCase()) ?? [];
  const factor = units[unit];
  return count === undefined || factor === undefined ? undefined : Number(count) * factor;
}
