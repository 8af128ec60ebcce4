import type { ICertificate } from '@kubernetes-models/cert-manager/cert-manager.io/v1';
import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import type { IRoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1';
import type { IConfigMap } from 'kubernetes-models/v1';
import { containersOf, finding, ofKind, podsOf, valuesOf, type Finding, type KubernetesObject, type Pod, type Rendering } from './objects.js';
import { secretsMade } from './secrets.js';

const clusterWide = ['Namespace', 'PriorityClass', 'RuntimeClass', 'ClusterRole', 'ClusterRoleBinding', 'ClusterIssuer', 'StorageClass'];
/** Every namespace has it: the authority of the API server. */
const ownOfCluster = new Map([['kube-root-ca.crt', new Set(['ca.crt'])]]);

/** A mention of a Secret or ConfigMap, and of a key of it if one is named. */
interface Mention {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  readonly key?: string;
  readonly path: string;
}

/** Everything that is named exists: accounts, roles, ConfigMaps and Secrets with their keys, claims, issuers; once each, in one namespace. */
export function* checkReferences(rendering: Rendering): Generator<Finding> {
  yield* identityFindings(rendering);
  yield* bindingFindings(rendering);
  yield* issuerFindings(rendering);
  const keys = {
    Secret: secretsMade(rendering),
    ConfigMap: new Map([...ownOfCluster, ...ofKind<IConfigMap>(rendering, 'ConfigMap').map(({ metadata, data, binaryData }) => [metadata.name, new Set(Object.keys({ ...data, ...binaryData }))] as const)]),
  };
  const names = (kind: string): Set<string> => new Set(rendering.objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name));
  const [accounts, claims] = [names('ServiceAccount'), names('PersistentVolumeClaim')];
  for (const pod of podsOf(rendering)) {
    const { serviceAccountName, volumes = [] } = pod.spec;
    if (serviceAccountName !== undefined && !accounts.has(serviceAccountName)) yield finding(pod.owner, `${pod.path}spec.serviceAccountName`, `there is no ServiceAccount ${serviceAccountName}`);
    for (const [index, { persistentVolumeClaim }] of volumes.entries()) {
      if (persistentVolumeClaim && !claims.has(persistentVolumeClaim.claimName)) yield finding(pod.owner, `${pod.path}spec.volumes[${index}].persistentVolumeClaim`, `there is no claim ${persistentVolumeClaim.claimName}`);
    }
  }
  const mentions = [
    ...podsOf(rendering).flatMap((pod) => mentionsOf(pod).map((mention) => ({ object: pod.owner, mention }))),
    ...ofKind<IServiceMonitor>(rendering, 'ServiceMonitor').flatMap((monitor) => mentionsIn(monitor).map((mention) => ({ object: monitor, mention }))),
  ];
  for (const { object, mention: { kind, name, key, path } } of mentions) {
    const found = keys[kind].get(name);
    if (!found) yield finding(object, path, `nobody makes the ${kind} ${name}`);
    else if (key !== undefined && !found.has(key)) yield finding(object, path, `the ${kind} ${name} has no key ${key}`);
  }
  const mentioned = new Set(mentions.map(({ mention: { kind, name } }) => `${kind} ${name}`));
  for (const map of ofKind<IConfigMap>(rendering, 'ConfigMap')) {
    // Somebody outside, such as the side container of Grafana, finds what is labelled for it.
    if (!mentioned.has(`ConfigMap ${map.metadata.name}`) && map.metadata.labels?.['grafana_dashboard'] === undefined) yield finding(map, '', 'nobody reads it');
  }
}

function* identityFindings({ objects }: Rendering): Generator<Finding> {
  const seen = new Set<string>();
  const namespaces = new Set(objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name));
  for (const object of objects) {
    const { apiVersion, kind, metadata } = object;
    const identity = [apiVersion.replace(/\/?v[^/]*$/, ''), kind, metadata.namespace, metadata.name].join(' ');
    if (seen.has(identity)) yield finding(object, '', 'is there twice');
    seen.add(identity);
    if (clusterWide.includes(kind)) continue;
    if (metadata.namespace === undefined) yield finding(object, 'metadata.namespace', 'is missing');
    else if (namespaces.size > 0 && !namespaces.has(metadata.namespace)) yield finding(object, 'metadata.namespace', `there is no namespace ${metadata.namespace}`);
  }
  const used = [...new Set(objects.flatMap(({ metadata }) => metadata.namespace ?? []))];
  if (used.length > 1) yield finding(undefined, 'metadata.namespace', `there are several: ${used.join(', ')}`);
}

function* bindingFindings(rendering: Rendering): Generator<Finding> {
  const has = (kind: string, name: string, namespace: string | undefined): boolean => rendering.objects.some((object) => object.kind === kind && object.metadata.name === name && object.metadata.namespace === namespace);
  const bindings = ofKind<IRoleBinding>(rendering, 'RoleBinding');
  for (const binding of bindings) {
    const { roleRef, subjects = [], metadata } = binding;
    if (!has(roleRef.kind, roleRef.name, metadata.namespace)) yield finding(binding, 'roleRef', `there is no ${roleRef.kind} ${roleRef.name}`);
    for (const [index, { kind, name, namespace }] of subjects.entries()) if (!has(kind, name, namespace)) yield finding(binding, `subjects[${index}]`, `there is no ${kind} ${name} in the namespace ${namespace ?? ''}`);
  }
  for (const role of rendering.objects.filter(({ kind }) => kind === 'Role')) if (!bindings.some(({ roleRef }) => roleRef.name === role.metadata.name)) yield finding(role, '', 'nobody has this role');
}

function* issuerFindings(rendering: Rendering): Generator<Finding> {
  for (const certificate of ofKind<ICertificate>(rendering, 'Certificate')) {
    const { name = '', kind = 'Issuer' } = certificate.spec?.issuerRef ?? {};
    if (!rendering.objects.some((object) => object.kind === kind && object.metadata.name === name)) yield finding(certificate, 'spec.issuerRef', `there is no ${kind} ${name}`);
  }
  const made = secretsMade(rendering);
  for (const issuer of rendering.objects.filter(({ kind }) => kind === 'Issuer')) {
    const secretName = (issuer as KubernetesObject & { readonly spec?: { readonly ca?: { readonly secretName?: string } } }).spec?.ca?.secretName;
    if (secretName !== undefined && !made.has(secretName)) yield finding(issuer, 'spec.ca.secretName', `nobody makes the Secret ${secretName}`);
  }
}

/** Secrets and ConfigMaps that a pod reads. Optional ones, too: optional is when they come, not whether. */
export function mentionsOf(pod: Pod): Mention[] {
  const mentions: Mention[] = [];
  for (const [index, { secret, configMap, projected }] of (pod.spec.volumes ?? []).entries()) {
    const path = `${pod.path}spec.volumes[${index}]`;
    const add = (kind: Mention['kind'], name: string | undefined, items: readonly { readonly key: string }[] | undefined, at: string): void => {
      if (items) for (const [position, { key }] of items.entries()) mentions.push({ kind, name: name ?? '', key, path: `${at}.items[${position}]` });
      else mentions.push({ kind, name: name ?? '', path: at });
    };
    if (secret) add('Secret', secret.secretName, secret.items, `${path}.secret`);
    if (configMap) add('ConfigMap', configMap.name, configMap.items, `${path}.configMap`);
    for (const [position, source] of (projected?.sources ?? []).entries()) {
      const at = `${path}.projected.sources[${position}]`;
      if (source.secret) add('Secret', source.secret.name, source.secret.items, `${at}.secret`);
      if (source.configMap) add('ConfigMap', source.configMap.name, source.configMap.items, `${at}.configMap`);
    }
  }
  for (const { container, path } of containersOf(pod)) {
    for (const [index, { secretRef, configMapRef }] of (container.envFrom ?? []).entries()) {
      if (secretRef) mentions.push({ kind: 'Secret', name: secretRef.name ?? '', path: `${path}.envFrom[${index}]` });
      if (configMapRef) mentions.push({ kind: 'ConfigMap', name: configMapRef.name ?? '', path: `${path}.envFrom[${index}]` });
    }
    for (const [index, { valueFrom }] of (container.env ?? []).entries()) {
      const [{ name, key }, kind] = valueFrom?.secretKeyRef ? [valueFrom.secretKeyRef, 'Secret' as const] : [valueFrom?.configMapKeyRef ?? { key: '' }, 'ConfigMap' as const];
      if (key !== '') mentions.push({ kind, name: name ?? '', key, path: `${path}.env[${index}]` });
    }
  }
  for (const [index, { name = '' }] of (pod.spec.imagePullSecrets ?? []).entries()) mentions.push({ kind: 'Secret', name, path: `${pod.path}spec.imagePullSecrets[${index}]` });
  return mentions;
}

/** In custom resources, an object of `name` and `key`; of a ConfigMap where it says so. */
function mentionsIn(object: KubernetesObject): Mention[] {
  return [...valuesOf(object)].flatMap(({ value, path, key: under }) => {
    const { name, key } = (typeof value === 'object' && value !== null ? value : {}) as { readonly name?: unknown; readonly key?: unknown };
    return typeof name === 'string' && typeof key === 'string' ? [{ kind: under === 'configMap' ? ('ConfigMap' as const) : ('Secret' as const), name, key, path }] : [];
  });
}
