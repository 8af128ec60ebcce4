import type { IRole } from 'kubernetes-models/rbac.authorization.k8s.io/v1';
import { managedSecrets } from '../../packages/cli/src/kubernetes/secrets.js';
import { containersOf, finding, ofKind, podsOf, type Finding, type Rendering } from './objects.js';
import { mentionsOf } from './references.js';
import { bootstrapped, secretsMade } from './secrets.js';

/** Which Secrets a component's pods may hold. Nobody holds the authority's key, or what is for people. */
const readers: Readonly<Record<string, readonly string[]>> = {
  coordinator: ['dd2-coordinator-tls', 'dd2-join-token', 'dd2-api-token', 'dd2-metrics-token', 'dd2-redis', 'dd2-external-redis'],
  redis: ['dd2-redis-tls', 'dd2-redis'],
  worker: ['dd2-worker-tls', 'dd2-join-token'],
  'teacher-worker': ['dd2-worker-tls', 'dd2-join-token'],
};

/** Least privilege: roles, tokens of the API, and Secrets in pods. */
export function* checkAccess(rendering: Rendering): Generator<Finding> {
  yield* roleFindings(rendering);
  for (const { kind, metadata } of rendering.objects) if (['ClusterRole', 'ClusterRoleBinding'].includes(kind)) yield { object: `${kind}/${metadata.name}`, path: '', message: 'reaches beyond the namespace' };
  for (const pod of podsOf(rendering)) {
    const allowed = readers[pod.labels['app.kubernetes.io/component'] ?? ''] ?? [];
    for (const { kind, name, path } of mentionsOf(pod)) if (kind === 'Secret' && !allowed.includes(name)) yield finding(pod.owner, path, `the Secret ${name} is not for these pods`);
    const tokens = (pod.spec.volumes ?? []).filter(({ projected }) => projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken)).map(({ name }) => name);
    for (const { container, path } of containersOf(pod)) {
      const holds = container.volumeMounts?.some(({ name }) => tokens.includes(name)) ?? false;
      if (holds && container.name !== 'bootstrap') yield finding(pod.owner, `${path}.volumeMounts`, 'has a token of the API that only bootstrap needs');
    }
  }
}

/** What a role allows, one by one: `verb resource/name`. */
const permissions = (rules: IRole['rules'] = []): Set<string> =>
  new Set(
    rules.flatMap(({ apiGroups = [], resources = [], verbs, resourceNames = [] }) => {
      const named = resourceNames.length > 0 ? resourceNames : ['*'];
      const things = apiGroups.flatMap((group) => resources.flatMap((resource) => named.map((name) => `${group === '' ? '' : `${group}/`}${resource}/${name}`)));
      return verbs.flatMap((verb) => things.map((thing) => `${verb} ${thing}`));
    }),
  );

/** Bootstrap creates Secrets, which cannot be limited by name, and reads and renews its own. A name that no Secret has gives nothing away. */
function* roleFindings(rendering: Rendering): Generator<Finding> {
  const made = secretsMade(rendering);
  const onNamed = (names: readonly string[]): string[] => names.flatMap((name) => ['get', 'update'].map((verb) => `${verb} secrets/${name}`));
  const needed = new Set(['create secrets/*', ...onNamed(bootstrapped(rendering).map(({ name }) => name))]);
  const harmless = new Set(onNamed(managedSecrets.flatMap(({ name }) => (made.has(name) ? [] : [name]))));
  for (const role of ofKind<IRole>(rendering, 'Role')) {
    const given = permissions(role.rules);
    for (const permission of given) if (!needed.has(permission) && !harmless.has(permission)) yield finding(role, 'rules', `allows to ${permission}, which bootstrap does not need`);
    for (const permission of needed) if (!given.has(permission)) yield finding(role, 'rules', `does not allow to ${permission}, which bootstrap needs`);
  }
}
