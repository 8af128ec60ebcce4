import type { ICertificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1';
import { managedSecrets, type ManagedSecret, type SecretGroup } from '../../packages/cli/src/kubernetes/secrets.js';
import { callOf, isDd2 } from './command-line.js';
import { containersOf, ofKind, podsOf, type Rendering } from './objects.js';

/** On an object that needs a Secret of the person who installs: `NAME: KEY KEY; NAME: KEY`. */
const madeByUser = 'dd2.dev/made-by-user';

/** Keys of every Secret that somebody makes, by its name. */
export function secretsMade(rendering: Rendering): Map<string, ReadonlySet<string>> {
  const made = new Map<string, ReadonlySet<string>>();
  for (const { name, keys } of bootstrapped(rendering)) made.set(name, new Set(keys));
  for (const { spec } of ofKind<ICertificate>(rendering, 'Certificate')) if (spec) made.set(spec.secretName, new Set(['tls.crt', 'tls.key', 'ca.crt']));
  for (const { metadata } of rendering.objects) {
    for (const [, name = '', keys = ''] of (metadata.annotations?.[madeByUser] ?? '').matchAll(/([\w.-]+):([^;]*)/g)) made.set(name, new Set(keys.split(/\s+/).filter((key) => key !== '')));
  }
  return made;
}

/** What `dd2 kubernetes bootstrap` makes as it is called here; nothing if nobody calls it. */
export function bootstrapped(rendering: Rendering): readonly ManagedSecret[] {
  const calls = podsOf(rendering).flatMap((pod) => containersOf(pod).flatMap(({ container }) => (isDd2(container) ? [callOf(rendering, container)] : [])));
  const call = calls.find((candidate) => !(candidate instanceof Error) && candidate.command === 'kubernetes bootstrap');
  if (!call || call instanceof Error) return [];
  const without: SecretGroup[] = [...(call.options['withoutCertificates'] === true ? (['certificates'] as const) : []), ...(call.options['withoutRedis'] === true ? (['redis'] as const) : [])];
  return managedSecrets.filter(({ groups }) => !groups.some((group) => without.includes(group)));
}
