import type { Container, EnvironmentVariable } from './objects.js';

/** A Secret or ConfigMap that has to be there before a container can start. */
export class MissingReference extends Error {
  override readonly name = 'MissingReference';
}

/** Where the values that manifests refer to come from. Data of a Secret or ConfigMap by key; undefined when there is none of that name. */
export interface References {
  secret(name: string): ReadonlyMap<string, Buffer> | undefined;
  configMap(name: string): ReadonlyMap<string, Buffer> | undefined;
}

/** What a pod can tell its containers of itself. */
export interface PodIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly ip: string;
  readonly serviceAccountName: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The value of a `fieldRef`. @throws Error for a field that is not understood */
export function fieldOf(pod: PodIdentity, path: string): string {
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': pod.name,
    'metadata.namespace': pod.namespace,
    'metadata.uid': pod.uid,
    'status.podIP': pod.ip,
    'spec.serviceAccountName': pod.serviceAccountName,
    'spec.nodeName': 'node',
  };
  const label = /^metadata\.labels\['([^']+)'\]$/.exec(path)?.[1];
  const value = label === undefined ? fields[path] : (pod.labels[label] ?? '');
  if (value === undefined) throw new Error(`the field ${path} is not understood here`);
  return value;
}

/**
 * The environment of a container: what the cluster adds, then `envFrom`, then `env`, where later values may refer to earlier ones.
 * @throws MissingReference when a Secret or ConfigMap is not there
 */
export function environmentOf(container: Pick<Container, 'env' | 'envFrom'>, pod: PodIdentity, from: References, added: Readonly<Record<string, string>>): Record<string, string> {
  const environment: Record<string, string> = { ...added };
  for (const { prefix, configMapRef, secretRef } of container.envFrom) {
    for (const [ref, kind] of [[configMapRef, 'configMap'], [secretRef, 'secret']] as const) {
      if (!ref) continue;
      const data = from[kind](ref.name);
      if (!data && !ref.optional) throw new MissingReference(`${kind} "${ref.name}" not found`);
      for (const [key, value] of data ?? []) environment[prefix + key] = value.toString();
    }
  }
  for (const variable of container.env) {
    const value = valueOf(variable, pod, from);
    if (value !== undefined) environment[variable.name] = variable.value === undefined ? value : expand(value, environment);
  }
  return environment;
}

function valueOf({ name, value, valueFrom }: EnvironmentVariable, pod: PodIdentity, from: References): string | undefined {
  if (!valueFrom) return value ?? '';
  if (value !== undefined) throw new Error(`${name} has a value and a source`);
  if ('fieldRef' in valueFrom) return fieldOf(pod, valueFrom.fieldRef.fieldPath);
  const [kind, ref] = 'secretKeyRef' in valueFrom ? (['secret', valueFrom.secretKeyRef] as const) : (['configMap', valueFrom.configMapKeyRef] as const);
  const found = from[kind](ref.name)?.get(ref.key);
  if (!found && !ref.optional) throw new MissingReference(`${kind} "${ref.name}" with the key "${ref.key}" not found`);
  return found?.toString();
}

/** Replaces `$(NAME)` by its value; what has none stays, and `$$(` is a literal `$(`. */
export function expand(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) => (name === undefined ? '$' : (environment[name] ?? match)));
}
